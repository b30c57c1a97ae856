/* SPDX-License-Identifier: BSD-3-Clause */
/* What a valid file becomes: the contract's example, defaults, lines, and the notices about what is not implemented yet. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/config/capture.h"

#define CONTRACT "tests/unit/config/data/contract.conf"

static struct config *contract(struct capture *c)
{
	struct config_reporter reporter = { capture_report, c };
	struct config *config = NULL;

	c->length = 0;
	assert_int_equal(config_load(CONTRACT, false, &reporter, &config), 0);
	return config;
}

static void the_contract_example_loads_with_warnings_alone(void **state)
{
	static struct capture c;
	struct config *config = contract(&c);

	(void)state;
	/* Whether the certificates are there depends on the machine. */
	assert_null(strstr(c.text, "E: "));
	assert_non_null(strstr(c.text,
		CONTRACT ":8: media-manager.max-sessions: 20000 sessions, but the steering-pools of "
			 "realm access have 5000 pairs of ports\n"));
	assert_non_null(strstr(c.text, "the steering-pools of realm core have 5000 pairs of ports\n"));
	config_free(config);
}

static void the_contract_example_is_typed(void **state)
{
	static struct capture c;
	struct config *config = contract(&c);
	const struct config_network_interface *out = config_find_network_interface(config, "outside");
	const struct config_local_policy *policy = config->local_policies;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_string_equal(config->system.name, "sbc1");
	assert_string_equal(config->system.location, "rack 4");
	assert_int_equal(config->media_manager.worker_count, 1);
	assert_int_equal(config->media_manager.workers[0], 1);
	assert_true(config->media_manager.memory_auto);
	assert_int_equal(out->port_kind, CONFIG_PORT_XDP);
	assert_string_equal(out->port, "eth1");
	assert_int_equal(out->address_count, 2);
	assert_int_equal(out->addresses[1].length, 64);
	assert_string_equal(address_print_host(&out->gateway6, text), "2001:db8:1::1");
	assert_ptr_equal(config_find_realm(config, "access")->network_interface, out);
	assert_int_equal(config->steering_pools[0].port_first, 10000);
	assert_int_equal(config->steering_pools[0].port_last, 20000);
	assert_int_equal(config->sip_interfaces_count, 3);
	assert_string_equal(config->sip_interfaces[0].ip_profile->name, "phone");
	assert_int_equal(config->sip_interfaces[1].listen[0].transport, CONFIG_TRANSPORT_TLS);
	assert_int_equal(config->sip_interfaces[1].listen[0].port, 5061);
	assert_string_equal(config->session_agents[1].address.host, "sip.itsp.example");
	assert_false(address_is_set(&config->session_agents[1].address.address));
	assert_ptr_equal(config->session_groups[0].agents[0], &config->session_agents[0]);
	assert_int_equal(config->session_groups[0].retry_on[2], 504);
	assert_string_equal(policy[0].name, "emergency");
	assert_ptr_equal(policy[0].group, &config->session_groups[0]);
	assert_string_equal(policy[1].name, "from-phones");
	assert_ptr_equal(policy[1].agent, &config->session_agents[0]);
	assert_int_equal(regexec(&policy[1].to_regex, "12345", 0, NULL, 0), 0);
	assert_int_equal(regexec(&policy[1].to_regex, "12x45", 0, NULL, 0), REG_NOMATCH);
	assert_string_equal(policy[2].name, "to-phones");
	assert_int_equal(policy[2].next_hop, CONFIG_NEXT_HOP_REGISTRATION);
	assert_ptr_equal(config->admissions[0].local_policy, &policy[1]);
	assert_string_equal(config->translations[0].match, "^\\+(.*)");
	assert_string_equal(config->translations[0].replace, "00\\1");
	assert_true(config->translations[0].apply_to);
	assert_false(config->translations[0].apply_from);
	assert_int_equal(config->sip_manipulations[0].rule_count, 1);
	assert_string_equal(config->sip_manipulations[0].rules[0].header, "User-Agent");
	assert_true(config->access_controls[0].permit);
	assert_false(config->access_controls[1].permit);
	assert_int_equal(config->guard.scanner_agents.count, 4);
	assert_true(config->metrics.enabled);
	assert_int_equal(address_port(&config->ssh.listen.address), 2022);
	assert_int_equal(config->users[0].role, CONFIG_ROLE_ADMIN);
	config_free(config);
}

static void an_empty_file_is_the_defaults(void **state)
{
	struct config *config = capture_valid("");

	(void)state;
	assert_string_equal(config->system.run_directory, "/run/sallyport");
	assert_int_equal(config->system.log_level, LOG_LEVEL_INFO);
	assert_int_equal(config->media_manager.workers[0], 1);
	assert_int_equal(config->sip.shards, 1);
	assert_int_equal(config->sip.t1_ms, 500);
	assert_int_equal(config->sip.t2_ms, 4000);
	assert_int_equal(config->sip.t4_ms, 5000);
	assert_int_equal(config->sip.timer_b_ms, 32000);
	assert_int_equal(config->sip.timer_c_ms, 180000);
	assert_int_equal(config->sip.timer_d_ms, 32000);
	assert_int_equal(config->sip.max_message_udp, 16384);
	assert_int_equal(config->sip.max_header_block, 16384);
	assert_int_equal(config->sip.max_body, 65536);
	assert_int_equal(config->sip.max_header, 2048);
	assert_int_equal(config->sip.max_identity_header, 8192);
	assert_int_equal(config->sip.max_headers, 128);
	assert_int_equal(config->sip.max_separators, 256);
	assert_int_equal(config->sip.max_via, 70);
	assert_int_equal(config->sip.max_transactions, 50000);
	assert_int_equal(config->sip.max_calls, 50000);
	assert_int_equal(config->sip.max_sdp_lines, 256);
	assert_int_equal(config->sip.max_sdp_media, 16);
	assert_string_equal(config->sip.user_agent, "");
	assert_false(config->metrics.enabled);
	assert_true(config->guard.silent);
	config_free(config);
}

static void named_sections_take_their_defaults(void **state)
{
	struct config *config =
		capture_valid(BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
				   "session-agent a { realm = r address = \"udp:[2001:db8::5]\" }\n"
				   "local-policy p { next-hop = \"agent:a\" }\n");
	const struct config_ip_profile *profile = config->sip_interfaces[0].ip_profile;

	(void)state;
	assert_int_equal(config->network_interfaces[0].dscp_signalling, 24);
	assert_false(address_is_set(&config->network_interfaces[0].gateway));
	assert_int_equal(config->realms[0].trust, CONFIG_TRUST_UNTRUSTED);
	assert_int_equal(config->realms[0].dscp_media, 46);
	assert_non_null(profile);
	assert_int_equal(profile->latching, CONFIG_LATCHING_LATCH);
	assert_int_equal(profile->crypto_suites.count, 2);
	assert_string_equal(profile->early_media, "relay");
	assert_null(config->sip_interfaces[0].tls_profile);
	assert_int_equal(config->sip_interfaces[0].listen[0].port, 5060);
	assert_null(config->session_agents[0].ip_profile);
	assert_string_equal(config->session_agents[0].address.host, "2001:db8::5");
	assert_int_equal(config->session_agents[0].address.port, 5060);
	assert_string_equal(config->session_agents[0].password, "");
	assert_null(config->local_policies[0].from_realm);
	assert_false(config->local_policies[0].has_from);
	assert_int_equal(config->local_policies[0].priority, 100);
	assert_int_equal(regexec(&config->local_policies[0].to_regex, "anybody", 0, NULL, 0), 0);
	config_free(config);
}

static void timer_b_follows_t1_unless_written(void **state)
{
	struct config *config = capture_valid("sip-config { t1 = \"100ms\" }");

	(void)state;
	assert_int_equal(config->sip.timer_b_ms, 6400);
	config_free(config);
	config = capture_valid("sip-config { t1 = \"100ms\" timer-b = 10 }");
	assert_int_equal(config->sip.timer_b_ms, 10000);
	config_free(config);
}

static void times_have_units(void **state)
{
	struct config *config = capture_valid(
		"guard { deny-time = \"5m\" deny-time-max = 2d }\nmedia-manager { idle-timeout = 90s\n"
		" initial-timeout = 3000ms }\naccounting { interim = 1h }\nregistration { "
		"keep-alive-interval = 30 }");

	(void)state;
	assert_int_equal(config->guard.deny_time, 300);
	assert_int_equal(config->guard.deny_time_max, 172800);
	assert_int_equal(config->media_manager.idle_timeout, 90);
	assert_int_equal(config->media_manager.initial_timeout, 3);
	assert_int_equal(config->accounting.interim, 3600);
	assert_int_equal(config->registration.keep_alive_interval, 30);
	config_free(config);
}

static void adding_to_a_list_keeps_its_default_and_what_was_written(void **state)
{
	struct config *config =
		capture_valid("guard { scanner-agents += {\"evil\"} }\n"
			      "media-manager { workers = {2} workers += {3, 4} workers += 5 }");

	(void)state;
	assert_int_equal(config->guard.scanner_agents.count, 5);
	assert_string_equal(config->guard.scanner_agents.item[0], "friendly-scanner");
	assert_string_equal(config->guard.scanner_agents.item[4], "evil");
	assert_int_equal(config->media_manager.worker_count, 4);
	assert_int_equal(config->media_manager.workers[3], 5);
	config_free(config);
}

static void quotes_escapes_and_continued_lines_are_read(void **state)
{
	struct config *config = capture_valid(
		"system { name = 'it\\'s'\n"
		" location = \"rack \\\n4 \\\"left\\\" \\\\\"\n contact = \"J\xc3\xbcrgen\" }\r\n"
		"translation t { match = '^\\+49(.*)$' replace = '0\\1' } # done");

	(void)state;
	assert_string_equal(config->system.name, "it's");
	assert_string_equal(config->system.location, "rack 4 \"left\" \\");
	assert_string_equal(config->system.contact, "J\xc3\xbcrgen");
	assert_string_equal(config->translations[0].match, "^\\+49(.*)$");
	assert_string_equal(config->translations[0].replace, "0\\1");
	assert_int_equal(config_line(config, "system", NULL, "contact"), 4);
	config_free(config);
}

static void policies_of_equal_priority_keep_the_order_of_the_file(void **state)
{
	struct config *config =
		capture_valid(BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} "
				   "}\nsession-agent x { realm = r address = \"udp:10.0.0.5\" }\n"
				   "local-policy a { next-hop = \"agent:x\" priority = 5 }\nlocal-policy b { "
				   "next-hop = \"agent:x\" priority = 1 }\n"
				   "local-policy c { next-hop = \"agent:x\" priority = 5 }\nlocal-policy d { "
				   "next-hop = \"agent:x\" priority = 1 }\n"
				   "admission m { local-policy = c }\n");

	(void)state;
	assert_string_equal(config->local_policies[0].name, "b");
	assert_string_equal(config->local_policies[1].name, "d");
	assert_string_equal(config->local_policies[2].name, "a");
	assert_string_equal(config->local_policies[3].name, "c");
	assert_ptr_equal(config->admissions[0].local_policy, &config->local_policies[3]);
	config_free(config);
}

static void every_written_setting_has_its_line(void **state)
{
	struct config *config =
		capture_valid("# a comment /* that\n# is not C */ //\n"
			      "system {\n  name\n  =\n  \"x\"\n location = y }\n"
			      "network-interface a { port = \"packet:e0\"\n addresses = "
			      "{\n\"10.0.0.1/24\",\n\n\"10.1.0.1/24\" }\n"
			      " vlan = 5 }\nip-profile p { codecs-allow = {} nat\n = never }\n"
			      "sip-manipulation m { rule 1 { action = delete\n header = X } }\n");

	(void)state;
	assert_int_equal(config_line(config, "system", NULL, NULL), 3);
	assert_int_equal(config_line(config, "system", NULL, "name"), 4);
	assert_int_equal(config_line(config, "system", NULL, "location"), 7);
	assert_int_equal(config_line(config, "system", NULL, "contact"), 0);
	assert_int_equal(config_line(config, "network-interface", "a", NULL), 8);
	assert_int_equal(config_line(config, "network-interface", "a", "addresses"), 9);
	assert_int_equal(config_line(config, "network-interface", "a", "vlan"), 13);
	assert_int_equal(config_line(config, "network-interface", "b", "vlan"), 0);
	assert_int_equal(config_line(config, "ip-profile", "p", "codecs-allow"), 14);
	assert_int_equal(config_line(config, "ip-profile", "p", "nat"), 14);
	assert_int_equal(config_line(config, "sip-manipulation", "m", "rule 1"), 16);
	assert_int_equal(config_line(config, "sip-manipulation", "m", "rule 1.header"), 17);
	assert_int_equal(config_line(config, "guard", NULL, "silent"), 0);
	assert_int_equal(config_line(config, "nothing", NULL, "silent"), 0);
	assert_string_equal(config_file(config), "f");
	config_free(config);
}

/* Runs f with stderr in a file and gives what was logged. */
static const char *logged(void (*f)(const struct config *config), const struct config *config)
{
	static char text[32768];
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	log_open("test", LOG_LEVEL_INFO);
	f(config);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	(void)fclose(file);
	return text;
}

static void log_controlplane(const struct config *config)
{
	config_log_unimplemented(config, CONFIG_CONTROLPLANE);
}

static void log_dataplane(const struct config *config)
{
	config_log_unimplemented(config, CONFIG_DATAPLANE);
}

static void refuse_port(const struct config *config)
{
	assert_int_equal(
		config_refuse(config, "network-interface", "out", "port", "no interface \"%s\"", "eth1"),
		-EINVAL);
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

static void written_settings_that_do_nothing_yet_are_logged_to_their_daemon(void **state)
{
	struct config *config = capture_valid(
		BASE "tls-profile t { certificate = \"/proc/self/status\" key = \"/proc/self/status\" }\n"
		     "sip-interface u { realm = r listen = {\"udp:192.0.2.1\"} registration = off }\n"
		     "sip-interface s { realm = r\n listen = {\"wss:192.0.2.1\"}\n tls-profile = t "
		     "registration = cache }\n"
		     "network-interface v { port = \"xdp:eth2\" vlan = 7 addresses = {\"10.0.0.1/24\"} }\n"
		     "access-control a { realm = r source = \"10.0.0.0/8\" action = deny }\n");
	const char *text = logged(log_controlplane, config);

	(void)state;
	assert_int_equal(count(text, "not implemented yet"), 1);
	assert_non_null(strstr(text, "path=\"sip-interface s.listen\" file=f line=6"));
	text = logged(log_dataplane, config);
	assert_int_equal(count(text, "not implemented yet"), 0);
	config_free(config);
}

static void what_a_daemon_refuses_is_logged_with_its_line(void **state)
{
	struct config *config = capture_valid("\n" BASE);
	const char *text = logged(refuse_port, config);

	(void)state;
	assert_non_null(strstr(text, "f:2: network-interface out.port: no interface \"eth1\""));
	config_free(config);
}

static void a_file_that_is_not_there_is_reported(void **state)
{
	static struct capture c;
	struct config_reporter reporter = { capture_report, &c };
	struct config *config = NULL;

	(void)state;
	assert_int_equal(config_load("/nonexistent/x.conf", false, &reporter, &config), -ENOENT);
	assert_string_equal(c.text, "E: /nonexistent/x.conf: cannot be read: No such file or directory\n");
	assert_null(config);
}

#define AGENT(secret)                                                                                     \
	BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"                               \
	     "session-agent a { realm = r address = \"udp:10.0.0.5\" username = u\n password = \"" secret \
	     "\" }\n"

static void files_that_are_missing_warn_in_a_check_and_fail_a_commit(void **state)
{
	static struct capture c;
	struct config *config;

	(void)state;
	assert_int_equal(capture_load(&c, AGENT("file:/nonexistent/secret"), false, &config), 0);
	assert_string_equal(c.text,
		"W: f:5: session-agent a.password: file /nonexistent/secret: No such file or directory\n");
	assert_string_equal(config->session_agents[0].password, "");
	config_free(config);
	assert_int_equal(capture_load(&c, AGENT("file:/nonexistent/secret"), true, &config), -EINVAL);
	assert_string_equal(c.text,
		"E: f:5: session-agent a.password: file /nonexistent/secret: No such file or directory\n");
}

static void doubtful_settings_are_warned_about(void **state)
{
	static struct capture c;
	struct config *config;

	(void)state;
	assert_int_equal(
		capture_load(&c,
			BASE
			"network-interface in { port = \"xdp:eth2\"\n addresses = {\"192.0.2.129/25\"} }\n"
			"sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
			"session-agent a { realm = r address = \"tcp:sip.example\" }\n"
			"local-policy p { next-hop = registration }\n"
			"user u { role = monitor }\n",
			false, &config),
		0);
	assert_string_equal(c.text,
		"W: f:4: network-interface in.addresses: its network is also that of network-interface out "
		"(line 1): what is "
		"sent there may leave by either\n"
		"W: f:6: session-agent a.address: no sip-interface of realm r speaks tcp\n"
		"W: f:7: local-policy p.next-hop: no sip-interface takes registrations: nobody can be "
		"reached this way\n"
		"W: f:8: user u: has neither keys nor password-hash and cannot log in\n");
	config_free(config);
}

static void a_denial_with_a_rate_or_trust_and_an_agent_that_is_denied_are_warned_about(void **state)
{
	static struct capture c;
	struct config *config;

	(void)state;
	assert_int_equal(
		capture_load(&c,
			BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
			     "session-agent p { realm = r address = \"udp:10.0.0.5\" }\n"
			     "session-agent q { realm = r address = \"udp:10.1.0.5\" }\n"
			     "access-control a { realm = r source = \"10.0.0.0/8\" action = deny\n"
			     " rate = 5\n trust = trusted }\n"
			     "access-control b { realm = r source = \"10.1.0.0/16\" action = permit }\n",
			false, &config),
		0);
	assert_string_equal(c.text,
		"W: f:4: session-agent p.address: 10.0.0.5 is denied by access-control a (line 6): nothing "
		"comes from there\n"
		"W: f:7: access-control a.rate: means nothing: action = deny lets nothing in\n"
		"W: f:8: access-control a.trust: means nothing: action = deny lets nothing in\n");
	config_free(config);
}

static void certificates_that_are_missing_fail_a_commit(void **state)
{
	static struct capture c;
	struct config *config;
	const char *text = "tls-profile t { certificate = \"/nonexistent/c\"\n key = \"/dev\" }\n";

	(void)state;
	assert_int_equal(capture_load(&c, text, true, &config), -EINVAL);
	assert_string_equal(c.text,
		"E: f:1: tls-profile t.certificate: file /nonexistent/c: No such file or directory\n"
		"E: f:2: tls-profile t.key: file /dev: is no plain file\n");
}

static void a_secret_in_a_file_is_its_first_line(void **state)
{
	char path[] = "/tmp/sallyport-test-XXXXXX", text[512];
	int fd = mkstemp(path);
	struct config *config;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "s3cret \nsecond\n", 15), 15);
	(void)close(fd);
	(void)snprintf(text, sizeof(text), AGENT("file:%s"), path);
	config = capture_valid(text);
	assert_string_equal(config->session_agents[0].password, "s3cret");
	config_free(config);
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_contract_example_loads_with_warnings_alone),
		cmocka_unit_test(the_contract_example_is_typed),
		cmocka_unit_test(an_empty_file_is_the_defaults),
		cmocka_unit_test(named_sections_take_their_defaults),
		cmocka_unit_test(timer_b_follows_t1_unless_written),
		cmocka_unit_test(times_have_units),
		cmocka_unit_test(adding_to_a_list_keeps_its_default_and_what_was_written),
		cmocka_unit_test(quotes_escapes_and_continued_lines_are_read),
		cmocka_unit_test(policies_of_equal_priority_keep_the_order_of_the_file),
		cmocka_unit_test(every_written_setting_has_its_line),
		cmocka_unit_test(written_settings_that_do_nothing_yet_are_logged_to_their_daemon),
		cmocka_unit_test(what_a_daemon_refuses_is_logged_with_its_line),
		cmocka_unit_test(a_file_that_is_not_there_is_reported),
		cmocka_unit_test(files_that_are_missing_warn_in_a_check_and_fail_a_commit),
		cmocka_unit_test(doubtful_settings_are_warned_about),
		cmocka_unit_test(a_denial_with_a_rate_or_trust_and_an_agent_that_is_denied_are_warned_about),
		cmocka_unit_test(certificates_that_are_missing_fail_a_commit),
		cmocka_unit_test(a_secret_in_a_file_is_its_first_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
