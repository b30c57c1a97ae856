/* SPDX-License-Identifier: BSD-3-Clause */
/* Registrations inside of one control core, without sockets: what a binding takes in memory, how long look-ups take among many, how many
 * REGISTER requests a second are dealt with (9 refreshes from cache to 1 that goes to the registrar), and how soon many are back after a start.
 *
 * usage: registrations DIRECTORY BINDINGS. DIRECTORY: empty, for the store. Prints one line of JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/call.h"
#include "controlplane/location.h"
#include "controlplane/registrar.h"
#include "controlplane/shard_internal.h"
#include "controlplane/store.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"
#include "tests/unit/controlplane/registrar_config.h"
#include "tests/unit/controlplane/sip_limits.h"

enum { TEXT_MAX = 4096, LOOKS = 1000000, REQUESTS = 60000, MISS_EVERY = 10 };

static struct config config = {
	.sip = { SIP_TIMERS, SIP_MESSAGE_LIMITS, SIP_SDP_LIMITS, SIP_RELAY_LIMITS, .shards = 1,
		.max_transactions = 1000000, .max_calls = 10 },
	.registration = { .phone_expires_udp = 60,
		.phone_expires_stream = 600,
		.upstream_expires = 3600,
		.max_contacts = 4,
		.max_bindings = 10000000,
		.min_expires = 10,
		.hold_ms = 2000 },
	.sip_interfaces = interfaces,
	.sip_interfaces_count = 2,
	.session_agents = &agent,
	.session_agents_count = 1,
	.local_policies = &policy,
	.local_policies_count = 1,
};
static struct shard shard;
static struct shard_private private;
static struct sip_flow phone, pbx;
static char upstream[TEXT_MAX]; /* the last REGISTER to the registrar, NUL behind it; empty: none */
static unsigned accepted;

static void check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "registrations: %s\n", what);
	exit(1);
}

static int capture(void *arg, const struct sip_flow *flow, struct span message)
{
	(void)arg;
	if (address_equal_host(&flow->remote, &pbx.remote)) {
		check(message.n < sizeof(upstream), "a long REGISTER");
		memcpy(upstream, message.p, message.n);
		upstream[message.n] = '\0';
	} else {
		accepted += span_starts_case(message, SPAN("SIP/2.0 200"));
	}
	return 0;
}

static void open_shard(void)
{
	check(registrar_config_open("^[0-9a-z]+$"), "configuration");
	config.system.data_directory = (char *)(uintptr_t) ".";
	pbx.remote = agent.address.address;
	private.capture = capture;
	shard = (struct shard){ .count = 1, .config = &config, .private = &private };
	shard.timers = timer_wheel_new(clock_now_ms());
	shard.shared.location = location_new(&config);
	check(shard.timers && shard.shared.location && transport_open(&shard) == 0 &&
			registrar_open(&shard) == 0 && transaction_layer_open(&shard, &call_core) == 0,
		"no memory");
	phone.listener = transport_listener(&shard, 0);
	pbx.listener = transport_listener(&shard, 1);
}

/* Phone n: an address and port of its own. */
static void phone_address(unsigned n, union address *out)
{
	char text[ADDRESS_TEXT_MAX];

	snprintf(
		text, sizeof(text), "10.%u.%u.%u:%u", n >> 16 & 255, n >> 8 & 255, n & 255, 1024 + n % 60000);
	check(address_parse(span_from(text), 0, out) == 0, "address");
}

static struct binding *make(unsigned n)
{
	char aor[64], contact[128], instance[64], call_id[64];
	struct binding model = { .interface = &interfaces[0],
		.agent = &agent,
		.expires_wall_ms = clock_wall_ms() + 3600000,
		.upstream_expires_wall_ms = clock_wall_ms() + 3600000,
		.q = 1000,
		.user_agent = SPAN("Yealink SIP-T54W 96.86.0.100"),
		.upstream_call_id = SPAN("00abcdefghijklmnop") };
	struct binding *binding;

	phone_address(n, &model.flow.remote);
	snprintf(aor, sizeof(aor), "user%u@sbc.example.net", n);
	snprintf(contact, sizeof(contact), "sip:user%u@192.168.1.%u:5060;transport=udp", n, n & 255);
	snprintf(instance, sizeof(instance), "<urn:uuid:00000000-0000-1000-8000-%012u>", n);
	snprintf(call_id, sizeof(call_id), "0_%u@192.168.1.%u", n * 7919, n & 255);
	model.aor = span_from(aor);
	model.contact = span_from(contact);
	model.instance = span_from(instance);
	model.call_id = span_from(call_id);
	binding = binding_new(&model);
	check(binding != NULL, "no memory");
	return binding;
}

static size_t resident(void)
{
	unsigned long size = 0, pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	check(file && fscanf(file, "%lu %lu", &size, &pages) == 2, "/proc/self/statm");
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static double look(struct location *location, unsigned bindings)
{
	uint64_t began = clock_now_ns();
	struct binding *found[4];
	unsigned step = 7919;
	char aor[64];

	for (unsigned i = 0, n = 0; i < LOOKS; i++, n = (n + step) % bindings) {
		snprintf(aor, sizeof(aor), "user%u@sbc.example.net", n);
		check(location_by_aor(location, interfaces[0].realm, span_from(aor), found, 4) == 1,
			"a binding is not found");
		phone_address(n, &phone.remote);
		binding_put(found[0]);
		found[0] = location_by_flow(location, &phone);
		check(found[0] != NULL, "a flow is not found");
		binding_put(found[0]);
	}
	return (double)(clock_now_ns() - began) / LOOKS;
}

static double fill(struct location *location, unsigned from, unsigned to)
{
	size_t before = resident();

	for (unsigned n = from; n < to; n++) {
		struct binding *binding = make(n);

		check(location_replace(location, NULL, binding) == 0, "a binding does not enter");
		binding_put(binding);
	}
	return (double)(resident() - before) / (to - from);
}

/* --- REGISTER --------------------------------------------------------------------------------------------------------- */

static void register_once(unsigned n, unsigned cseq)
{
	char text[TEXT_MAX];
	int length;

	phone_address(n, &phone.remote);
	length = snprintf(text, sizeof(text),
		"REGISTER sip:sbc.example.net SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.168.1.7:5060;branch=z9hG4bK%u-%u;rport\r\n"
		"Max-Forwards: 70\r\nFrom: \"User %u\" <sip:reg%u@sbc.example.net>;tag=t%u\r\n"
		"To: \"User %u\" <sip:reg%u@sbc.example.net>\r\nCall-ID: 0_%u@192.168.1.7\r\nCSeq: %u "
		"REGISTER\r\n"
		"Contact: "
		"<sip:reg%u@192.168.1.7:5060>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-%012u>\"\r\n"
		"Authorization: Digest username=\"reg%u\", realm=\"pbx\", "
		"nonce=\"1763658000:0123456789abcdef\", "
		"uri=\"sip:sbc.example.net\", response=\"00112233445566778899aabbccddeeff\", algorithm=MD5, "
		"cnonce=\"0a4f113b\", "
		"qop=auth, nc=00000001\r\nAllow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, OPTIONS, INFO, "
		"MESSAGE\r\n"
		"User-Agent: Yealink SIP-T54W 96.86.0.100\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
		n, cseq, n, n, n, n, n, n, cseq, n, n, n);
	transaction_receive(&shard, &phone, (struct span){ text, (size_t)length });
}

static void copy_line(const char *name, struct writer *out)
{
	const char *at = strstr(upstream, name);

	check(at != NULL, "a header is missing");
	writer_span(out, (struct span){ at + 2, strcspn(at + 2, "\r") + 2 });
}

static void accept_upstream(void)
{
	const char *contact = strstr(upstream, "\r\nContact: <");
	char text[TEXT_MAX];
	struct writer w;

	check(contact != NULL, "no Contact");
	contact += strlen("\r\nContact: ");
	writer_init(&w, text, sizeof(text));
	writer_text(&w, "SIP/2.0 200 OK\r\n");
	copy_line("\r\nVia: ", &w);
	copy_line("\r\nFrom: ", &w);
	copy_line("\r\nTo: ", &w);
	copy_line("\r\nCall-ID: ", &w);
	copy_line("\r\nCSeq: ", &w);
	writer_text(&w, "Contact: ");
	writer_span(&w, (struct span){ contact, strcspn(contact, ">") + 1 });
	writer_text(&w, ";expires=3600\r\nServer: stub\r\nContent-Length: 0\r\n\r\n");
	upstream[0] = '\0';
	transaction_receive(&shard, &pbx, writer_result(&w));
}

/* One REGISTER, with what it costs at the registrar. */
static void go(unsigned n, unsigned cseq)
{
	register_once(n, cseq);
	if (upstream[0])
		accept_upstream();
}

/* Requests a second of one core; time passes so that what is remembered of them is forgotten as it would be. */
static double rate(unsigned phones)
{
	uint64_t began, spent = 0;
	unsigned done = 0;

	for (unsigned n = 0; n < phones; n++)
		go(n, 1);
	check(accepted == phones, "a phone was refused");
	for (unsigned cseq = 2; done < REQUESTS; cseq++)
		for (unsigned n = 0; n < phones; n++, done++) {
			if ((n + cseq) % MISS_EVERY == 0) {
				char aor[64];
				struct binding *binding;

				snprintf(aor, sizeof(aor), "reg%u@sbc.example.net", n);
				check(location_by_aor(shard.shared.location, interfaces[0].realm,
					      span_from(aor), &binding, 1) == 1,
					"gone");
				__atomic_store_n(&binding->upstream_expires_wall_ms, clock_wall_ms() + 1000,
					__ATOMIC_RELAXED);
				binding_put(binding);
			}
			began = clock_now_ns();
			go(n, cseq);
			timer_wheel_advance(shard.timers, clock_now_ms());
			spent += clock_now_ns() - began;
		}
	check(accepted == phones + done, "a phone was refused");
	return (double)done * 1e9 / (double)spent;
}

/* --- start -------------------------------------------------------------------------------------------------------------- */

static int take(void *arg, struct binding *model)
{
	struct binding *binding = binding_new(model);
	int error = binding ? location_replace(arg, NULL, binding) : -ENOMEM;

	binding_put(binding);
	return error;
}

static double restart(char *directory, unsigned bindings)
{
	struct store *store = NULL;
	struct location *location = location_new(&config);
	uint64_t began;

	config.system.data_directory = directory;
	config.store =
		(struct config_store){ .queue = bindings + 1, .group_time_ms = 10, .audit_entries = 1000 };
	check(location && store_open(&config, &store) == 0, "the store does not open");
	for (unsigned n = 0; n < bindings; n++) {
		struct binding *binding = make(n);

		binding->number = n + 1;
		store_binding(store, binding);
		binding_put(binding);
	}
	store_close(store);
	began = clock_now_ns();
	check(store_open(&config, &store) == 0, "the store does not open again");
	check(store_load_bindings(store, &config, take, location) == bindings, "bindings are lost");
	check(location_count(location) == bindings, "bindings are not in the table");
	began = clock_now_ns() - began;
	store_close(store);
	location_free(location);
	return (double)began / 1e9;
}

int main(int argc, char **argv)
{
	unsigned bindings = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	double octets, few, many;

	if (bindings < 2000) {
		fprintf(stderr, "usage: registrations DIRECTORY BINDINGS\n");
		return 2;
	}
	log_open("registrations", LOG_LEVEL_ERROR);
	open_shard();
	fill(shard.shared.location, 0, 1000);
	few = look(shard.shared.location, 1000);
	octets = fill(shard.shared.location, 1000, bindings);
	many = look(shard.shared.location, bindings);
	printf("{\"octets\": %.0f, \"look_few_ns\": %.0f, \"look_many_ns\": %.0f, \"per_second\": %.0f, "
	       "\"restart_s\": %.3f}\n",
		octets, few, many, rate(2000), restart(argv[1], bindings));
	return 0;
}
