/* SPDX-License-Identifier: BSD-3-Clause */
/* The location table: every index finds an entry, and none finds it after it has gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/location.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"

static char realm_name[] = "phones", other_name[] = "others";
static struct config_realm realm = { .name = realm_name }, other_realm = { .name = other_name };
static struct config_sip_interface interface = { .realm = &realm },
				   other_interface = { .realm = &other_realm };
static struct config config;

static int setup(void **state)
{
	memset(&config, 0, sizeof(config));
	config.registration.max_bindings = 300000;
	config.registration.max_contacts = 3;
	*state = location_new(&config);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	location_free(*state);
	return 0;
}

static struct binding *fresh(const char *aor, const char *contact, const char *remote, uint16_t q)
{
	struct binding model = { .interface = &interface,
		.aor = span_from(aor),
		.contact = span_from(contact),
		.q = q,
		.expires_wall_ms = clock_wall_ms() + 60000 };
	struct binding *binding;

	assert_int_equal(address_parse(span_from(remote), 5060, &model.flow.remote), 0);
	binding = binding_new(&model);
	assert_non_null(binding);
	return binding;
}

/* In the table, the test's reference given up: it lives as long as it is in there. */
static struct binding *add(struct location *location, const char *aor, const char *remote, uint16_t q)
{
	struct binding *binding = fresh(aor, "sip:x@192.0.2.1", remote, q);

	assert_int_equal(location_replace(location, NULL, binding), 0);
	binding_put(binding);
	return binding;
}

static struct binding *by_flow(struct location *location, const struct config_sip_interface *at,
	enum config_transport transport, const char *remote, uint64_t connection)
{
	struct listener listener = { .interface = at, .transport = transport };
	struct sip_flow flow = { .listener = &listener, .connection = connection };
	struct binding *found;

	assert_int_equal(address_parse(span_from(remote), 5060, &flow.remote), 0);
	found = location_by_flow(location, &flow);
	binding_put(found);
	return found;
}

static size_t at_host(struct location *location, const char *text)
{
	union address host;

	assert_int_equal(address_parse_host(span_from(text), &host), 0);
	return location_at_host(location, &host);
}

static struct binding *by_token(struct location *location, const struct binding *binding)
{
	struct binding *found = location_by_token(location, span_from(binding->token));

	binding_put(found);
	return found;
}

static size_t by_aor(struct location *location, const char *aor, struct binding **out, size_t limit)
{
	size_t count = location_by_aor(location, interface.realm, span_from(aor), out, limit);

	for (size_t i = 0; i < count; i++)
		binding_put(out[i]);
	return count;
}

static void test_an_entry_is_found_by_each_of_its_names(void **state)
{
	struct location *location = *state;
	struct binding *found[4], *binding = add(location, "alice@example.net", "192.0.2.7:1024", 1000);

	assert_ptr_equal(by_token(location, binding), binding);
	assert_int_equal(by_aor(location, "alice@example.net", found, 4), 1);
	assert_ptr_equal(found[0], binding);
	assert_int_equal(location_by_user(location, SPAN("alice"), found, 4), 1);
	binding_put(found[0]);
	assert_ptr_equal(by_flow(location, &interface, CONFIG_TRANSPORT_UDP, "192.0.2.7:1024", 0), binding);
	assert_int_equal(at_host(location, "192.0.2.7"), 1);
	assert_int_equal(location_count(location), 1);
	assert_int_equal(location_list(location, 0, found, 4), 1);
	binding_put(found[0]);
}

static void test_a_flow_is_realm_transport_address_port_and_connection(void **state)
{
	struct location *location = *state;
	struct binding *binding = add(location, "alice@example.net", "192.0.2.7:1024", 1000);

	assert_ptr_equal(by_flow(location, &interface, CONFIG_TRANSPORT_UDP, "192.0.2.7:1024", 0), binding);
	assert_null(by_flow(location, &other_interface, CONFIG_TRANSPORT_UDP, "192.0.2.7:1024", 0));
	assert_null(by_flow(location, &interface, CONFIG_TRANSPORT_TCP, "192.0.2.7:1024", 0));
	assert_null(by_flow(location, &interface, CONFIG_TRANSPORT_UDP, "192.0.2.7:1025", 0));
	assert_null(by_flow(location, &interface, CONFIG_TRANSPORT_UDP, "192.0.2.8:1024", 0));
	assert_null(by_flow(location, &interface, CONFIG_TRANSPORT_UDP, "192.0.2.7:1024", 5));
}

static void test_nothing_finds_what_has_been_removed_but_who_holds_it_keeps_it(void **state)
{
	struct location *location = *state;
	struct binding *found[4], *binding = binding_get(add(location, "a@b", "[2001:db8::7]:1024", 1000));

	assert_true(location_remove(location, binding));
	assert_false(location_remove(location, binding));
	assert_null(by_token(location, binding));
	assert_int_equal(by_aor(location, "a@b", found, 4), 0);
	assert_int_equal(location_by_user(location, SPAN("a"), found, 4), 0);
	assert_null(by_flow(location, &interface, CONFIG_TRANSPORT_UDP, "[2001:db8::7]:1024", 0));
	assert_int_equal(at_host(location, "2001:db8::7"), 0);
	assert_int_equal(location_count(location), 0);
	assert_int_equal(location_list(location, 0, found, 4), 0);
	assert_true(span_equal(binding->aor, SPAN("a@b")));
	binding_put(binding);
}

static void test_a_replacement_keeps_token_and_number_and_moves_the_flow(void **state)
{
	struct location *location = *state;
	struct binding *found[4], *old = add(location, "a@b", "192.0.2.7:1024", 1000), *binding;
	struct binding model;
	uint64_t number = old->number;

	model = *old;
	assert_int_equal(address_parse(SPAN("192.0.2.8:2000"), 0, &model.flow.remote), 0);
	binding = binding_new(&model);
	assert_int_equal(location_replace(location, old, binding), 0);
	assert_int_equal(binding->number, number);
	assert_ptr_equal(by_token(location, binding), binding);
	assert_int_equal(by_aor(location, "a@b", found, 4), 1);
	assert_null(by_flow(location, &interface, CONFIG_TRANSPORT_UDP, "192.0.2.7:1024", 0));
	assert_ptr_equal(by_flow(location, &interface, CONFIG_TRANSPORT_UDP, "192.0.2.8:2000", 0), binding);
	assert_int_equal(at_host(location, "192.0.2.7"), 0);
	assert_int_equal(at_host(location, "192.0.2.8"), 1);
	assert_int_equal(location_count(location), 1);
	assert_int_equal(location_list(location, number - 1, found, 4), 1);
	assert_ptr_equal(found[0], binding);
	binding_put(found[0]);
	binding_put(binding);
}

static void test_who_replaces_what_has_gone_is_told(void **state)
{
	struct location *location = *state;
	struct binding *old = binding_get(add(location, "a@b", "192.0.2.7:1024", 1000));
	struct binding *binding = fresh("a@b", "sip:y@192.0.2.1", "192.0.2.7:1024", 0);

	assert_true(location_remove(location, old));
	assert_int_equal(location_replace(location, old, binding), -ESTALE);
	assert_int_equal(location_count(location), 0);
	binding_put(old);
	binding_put(binding);
}

static void test_contacts_come_best_first_and_no_more_than_asked_for(void **state)
{
	struct location *location = *state;
	const struct binding *worst = add(location, "a@b", "192.0.2.7:1", 100);
	const struct binding *older = add(location, "a@b", "192.0.2.7:2", 900);
	const struct binding *newer = add(location, "a@b", "192.0.2.7:3", 900);
	struct binding *found[4];

	assert_int_equal(by_aor(location, "a@b", found, 4), 3);
	assert_ptr_equal(found[0], newer);
	assert_ptr_equal(found[1], older);
	assert_ptr_equal(found[2], worst);
	assert_int_equal(by_aor(location, "a@b", found, 2), 2);
	assert_ptr_equal(found[0], newer);
	assert_ptr_equal(found[1], older);
	assert_int_equal(at_host(location, "192.0.2.7"), 3);
}

static void test_expired_contacts_are_nobodys(void **state)
{
	struct location *location = *state;
	struct binding *found[4], *binding = add(location, "a@b", "192.0.2.7:1", 100);

	__atomic_store_n(&binding->expires_wall_ms, clock_wall_ms(), __ATOMIC_RELAXED);
	assert_int_equal(by_aor(location, "a@b", found, 4), 0);
	assert_int_equal(location_by_user(location, SPAN("a"), found, 4), 0);
	assert_null(by_flow(location, &interface, CONFIG_TRANSPORT_UDP, "192.0.2.7:1", 0));
}

/* To the registrar behind us all of them are one user; one of another realm is another's. */
static void test_a_users_contacts_are_his_whatever_host_he_names(void **state)
{
	struct location *location = *state;
	struct binding *found[4];

	add(location, "a@b", "192.0.2.7:1", 100);
	add(location, "a@c", "192.0.2.7:2", 900);
	assert_int_equal(by_aor(location, "a@d", found, 4), 2);
	assert_int_equal(by_aor(location, "A@b", found, 4), 0);
	assert_int_equal(location_by_aor(location, other_interface.realm, SPAN("a@b"), found, 4), 0);
	assert_int_equal(location_by_user(location, SPAN("a"), found, 4), 2);
	binding_put(found[0]);
	binding_put(found[1]);
}

static void test_limits_of_one_address_and_of_the_table_hold(void **state)
{
	struct location *location = *state;
	struct binding *binding = fresh("a@b", "sip:y@192.0.2.1", "192.0.2.7:9", 0);
	struct binding *nameless = fresh("a", "sip:y@192.0.2.1", "192.0.2.7:9", 0);

	for (unsigned i = 0; i < 3; i++)
		add(location, "a@b", "192.0.2.7:1", 100);
	assert_int_equal(location_replace(location, NULL, binding), -ENOSPC);
	config.registration.max_contacts = 10;
	config.registration.max_bindings = 3;
	assert_int_equal(location_replace(location, NULL, binding), -ENOSPC);
	config.registration.max_bindings = 4;
	assert_int_equal(location_replace(location, NULL, binding), 0);
	assert_int_equal(location_replace(location, NULL, nameless), -EINVAL);
	binding_put(nameless);
	binding_put(binding);
}

static void test_a_host_of_ipv6_is_its_64(void **state)
{
	struct location *location = *state;

	add(location, "a@b", "[2001:db8::7]:1", 100);
	add(location, "c@b", "[2001:db8::8]:1", 100);
	add(location, "d@b", "[2001:db8:0:1::8]:1", 100);
	assert_int_equal(at_host(location, "2001:db8::9"), 2);
}

static void test_the_list_goes_by_number_over_gaps_and_late_comers(void **state)
{
	struct location *location = *state;
	struct binding *found[8], *of[200];
	uint64_t after = 0;
	size_t count, seen = 0;
	char aor[16];

	for (unsigned i = 0; i < 200; i++) {
		snprintf(aor, sizeof(aor), "u%u@b", i);
		of[i] = add(location, aor, "192.0.2.7:1", 0);
	}
	for (unsigned i = 0; i < 200; i++)
		if (i % 4)
			assert_true(location_remove(location, of[i]));
	/* As loaded from the store: it brings its number. */
	of[0] = fresh("late@b", "sip:x@y", "192.0.2.7:1", 0);
	of[0]->number = 7;
	assert_int_equal(location_replace(location, NULL, of[0]), 0);
	binding_put(of[0]);
	while ((count = location_list(location, after, found, 8)) > 0)
		for (size_t i = 0; i < count; i++) {
			assert_true(found[i]->number > after);
			after = found[i]->number;
			seen++;
			binding_put(found[i]);
		}
	assert_int_equal(seen, 51);
}

/* Who looks while a contact is replaced finds one of both, never none and never two. */
struct race {
	struct location *location;
	bool stop; /* atomic */
	size_t missed;
};

static void *look(void *arg)
{
	struct race *race = arg;
	struct binding *found[4];

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		size_t count = by_aor(race->location, "a@b", found, 4);

		if (count != 1)
			race->missed++;
	}
	return NULL;
}

static void test_a_contact_that_is_replaced_is_never_missing(void **state)
{
	struct race race = { .location = *state };
	struct binding *old = binding_get(add(race.location, "a@b", "192.0.2.7:1", 0));
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, look, &race), 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct binding *binding = fresh("a@b", "sip:x@y", i & 1 ? "192.0.2.7:1" : "192.0.2.8:2", 0);

		assert_int_equal(location_replace(race.location, old, binding), 0);
		binding_put(old);
		old = binding;
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(race.missed, 0);
	binding_put(old);
}

/* Its lines all have it; another connection from the same port, or another realm, is not it. */
static void test_all_that_came_by_a_lost_connection_are_unreachable(void **state)
{
	struct listener listener = { .interface = &interface, .transport = CONFIG_TRANSPORT_TCP };
	struct listener elsewhere = { .interface = &other_interface, .transport = CONFIG_TRANSPORT_TCP };
	struct sip_flow flow = { .listener = &listener, .connection = 7 };
	const struct {
		const char *aor;
		uint64_t connection;
		uint32_t before, after;
	} lines[] = { { "a@x", 7, 0, 1 }, { "b@x", 7, 0, 1 }, { "c@x", 7, 2, 2 }, { "d@x", 8, 0, 0 } };
	struct binding *binding[4];

	assert_int_equal(address_parse(SPAN("192.0.2.7:5060"), 5060, &flow.remote), 0);
	for (size_t i = 0; i < 4; i++) {
		binding[i] = fresh(lines[i].aor, "sip:x@192.0.2.1", "192.0.2.7:5060", 1000);
		binding[i]->flow.transport = CONFIG_TRANSPORT_TCP;
		binding[i]->flow.connection = lines[i].connection;
		binding[i]->unreachable = lines[i].before;
		assert_int_equal(location_replace(*state, NULL, binding[i]), 0);
	}
	flow.listener = &elsewhere;
	assert_int_equal(location_flow_lost(*state, &flow), 0);
	flow.listener = &listener;
	assert_int_equal(location_flow_lost(*state, &flow), 3);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(binding[i]->unreachable, lines[i].after);
		binding_put(binding[i]);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_an_entry_is_found_by_each_of_its_names),
		TEST(test_a_flow_is_realm_transport_address_port_and_connection),
		TEST(test_nothing_finds_what_has_been_removed_but_who_holds_it_keeps_it),
		TEST(test_a_replacement_keeps_token_and_number_and_moves_the_flow),
		TEST(test_who_replaces_what_has_gone_is_told),
		TEST(test_contacts_come_best_first_and_no_more_than_asked_for),
		TEST(test_expired_contacts_are_nobodys),
		TEST(test_all_that_came_by_a_lost_connection_are_unreachable),
		TEST(test_a_users_contacts_are_his_whatever_host_he_names),
		TEST(test_limits_of_one_address_and_of_the_table_hold),
		TEST(test_a_host_of_ipv6_is_its_64),
		TEST(test_the_list_goes_by_number_over_gaps_and_late_comers),
		TEST(test_a_contact_that_is_replaced_is_never_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
