/* SPDX-License-Identifier: BSD-3-Clause */
/* Every mistake is refused with exactly the lines written here: file, line, path, what is wrong, what is allowed. */
#include <errno.h>

#include "tests/unit/config/capture.h"

struct mistake {
	const char *what, *text, *lines;
};

/* clang-format off */
static const struct mistake mistakes[] = {
	{ "an unknown section with its nearest name",
		"relm core { }\n",
		"E: f:1: \"relm\" is no section; did you mean \"realm\"?\n" },
	{ "an unknown section near nothing",
		"\n"
		"banana { x = 1 }\n",
		"E: f:2: \"banana\" is no section; allowed: system, media-manager, sip-config, network-interface, realm, steering-pool, tls-profile, ip-profile, sip-interface, registration, session-agent, session-group, local-policy, translation, sip-manipulation, admission, access-control, guard, store, accounting, trace, snmp, metrics, alarms, ssh, user\n" },
	{ "an unknown setting with its nearest name",
		"system {\n"
		"\tlog-levle = info\n"
		"}\n",
		"E: f:2: system: \"log-levle\" is no setting; did you mean \"log-level\"?\n" },
	{ "an unknown setting near nothing",
		"trace {\n"
		"\tbananas = 3\n"
		"}\n",
		"E: f:2: trace: \"bananas\" is no setting; allowed: calls, hep\n" },
	{ "a misspelt required setting without calling it missing",
		"network-interface a { prot = \"xdp:e\"\n"
		"addresses = {10.0.0.1/24} }\n",
		"E: f:1: network-interface a: \"prot\" is no setting; did you mean \"port\"?\n" },
	{ "every unknown name in a file",
		"system { a = 1 b = {1,2}\n"
		"c { d = 4 } }\n"
		"nope x { y = 1 }\n",
		"E: f:1: system: \"a\" is no setting; allowed: name, location, contact, data-directory, run-directory, revisions-kept, commands-kept, log-level, user\n"
		"E: f:1: system: \"b\" is no setting; allowed: name, location, contact, data-directory, run-directory, revisions-kept, commands-kept, log-level, user\n"
		"E: f:2: system: \"c\" is no setting; allowed: name, location, contact, data-directory, run-directory, revisions-kept, commands-kept, log-level, user\n"
		"E: f:3: \"nope\" is no section; allowed: system, media-manager, sip-config, network-interface, realm, steering-pool, tls-profile, ip-profile, sip-interface, registration, session-agent, session-group, local-policy, translation, sip-manipulation, admission, access-control, guard, store, accounting, trace, snmp, metrics, alarms, ssh, user\n" },
	{ "a setting outside any section",
		"name = \"x\"\n",
		"E: f:1: \"name\" is no section; allowed: system, media-manager, sip-config, network-interface, realm, steering-pool, tls-profile, ip-profile, sip-interface, registration, session-agent, session-group, local-policy, translation, sip-manipulation, admission, access-control, guard, store, accounting, trace, snmp, metrics, alarms, ssh, user\n" },
	{ "a section used as a setting",
		"system = 3\n",
		"E: f:1: system: is a section: \"{\" must follow, not \"=\"\n" },
	{ "a setting used as a section",
		"system {\n"
		" name { }\n"
		"}\n",
		"E: f:2: system.name: has no \"=\" behind its name, but \"{\"\n" },
	{ "a setting without equal sign",
		"system { name \"x\" }\n",
		"E: f:1: system.name: has no \"=\" behind its name, but a text\n" },
	{ "a setting without value",
		"system {\n"
		" name =\n"
		"}\n",
		"E: f:2: system.name: has no value, but \"}\"\n" },
	{ "a named section without name",
		"realm { trust = trusted }\n",
		"E: f:1: realm: has no name; allowed: realm NAME { ... }\n" },
	{ "an unnamed section with a name",
		"system sbc1 { }\n",
		"E: f:1: system: takes no name; allowed: system { ... }\n" },
	{ "an opening brace that is missing",
		"system\n"
		" name = \"x\"\n",
		"E: f:1: system: takes no name; allowed: system { ... }\n" },
	{ "a section that is not closed",
		"system { name = \"x\"\n"
		"\n",
		"E: f:1: system: is not closed: \"}\" is missing\n" },
	{ "a section that begins inside another",
		"system {\n"
		" name = \"x\"\n"
		"media-manager { poll = busy }\n",
		"E: f:3: system: is not closed (opened on line 1): \"}\" is missing before \"media-manager\"\n" },
	{ "a list that is not closed",
		"media-manager { workers = {1, 2\n",
		"E: f:1: media-manager.workers: is a list that is not closed: \"}\" is missing\n" },
	{ "a closing brace too many",
		"system { }\n"
		"}\n",
		"E: f:2: \"}\" where a section must begin\n" },
	{ "a text that is not closed",
		"system {\n"
		" name = \"sbc\n"
		" location = \"here\"\n"
		"}\n",
		"E: f:2: system.name: is not closed: a quote is missing at its end\n" },
	{ "a list for a single value",
		"system { name = {\"a\", \"b\"} }\n",
		"E: f:1: system.name: takes one value, not a list\n" },
	{ "a missing comma in a list",
		"media-manager {\n"
		" workers = {1 2}\n"
		"}\n",
		"E: f:2: media-manager.workers: \",\" is missing between its values\n" },
	{ "appending to a single value",
		"system { name += \"x\" }\n",
		"E: f:1: system.name: \"+=\" adds to a list, and this takes one value; allowed: =\n" },
	{ "a semicolon",
		"system { name = \"x\"; }\n",
		"E: f:1: \";\" is not needed; settings follow each other without a sign\n" },
	{ "a foreign comment",
		"// hello\n"
		"system { }\n",
		"E: f:1: a comment begins with #\n" },
	{ "a value that needs quotes",
		"local-policy p { to = ^[0-9]+$\n"
		"next-hop = registration }\n",
		"E: f:1: local-policy p.to: needs quotes; allowed without: letters, digits, _ . : / @ % -\n"
		"W: f:2: local-policy p.next-hop: no sip-interface takes registrations: nobody can be reached this way\n" },
	{ "an escape that would vanish",
		"local-policy p { to = \"^\\+49\"\n"
		"next-hop = registration }\n",
		"E: f:1: local-policy p.to: has an unknown escape \\+; allowed: \\\\ for a backslash, \\\" for a quote\n"
		"W: f:2: local-policy p.next-hop: no sip-interface takes registrations: nobody can be reached this way\n" },
	{ "an octal escape",
		"translation t { match = \"(.)\"\n"
		" replace = \"00\\1\" }\n",
		"E: f:2: translation t.replace: has an unknown escape \\1; allowed: \\\\ for a backslash, \\\" for a quote\n" },
	{ "a control character",
		"system { name = \"a\tb\" }\n",
		"E: f:1: system.name: holds a control character; allowed: text in UTF-8\n" },
	{ "text that is not UTF-8",
		"system {\n"
		" name = \"a\377b\" }\n",
		"E: f:2: system.name: is not UTF-8; allowed: text in UTF-8\n" },
	{ "a setting that is set twice, naming both lines",
		"system { name = \"a\"\n"
		" location = \"x\"\n"
		" name = \"b\" }\n",
		"E: f:3: system.name: is set twice, first on line 1\n" },
	{ "an object that is defined twice, naming both lines",
		"ip-profile a { }\n"
		"ip-profile b { }\n"
		"ip-profile a { nat = never }\n",
		"E: f:3: ip-profile a: is defined twice, first on line 1\n" },
	{ "an unnamed section that is written twice",
		"trace { calls = 1 }\n"
		"trace { hep = \"\" }\n",
		"E: f:2: trace: is defined twice, first on line 1\n" },
	{ "a network-interface name that is too long for the kernel",
		"network-interface abcdefghijklm { port = \"xdp:e\" addresses = {10.0.0.1/24} }\n",
		"E: f:1: network-interface \"abcdefghijklm\": is no name; allowed: 1 to 12 of abcdefghijklmnopqrstuvwxyz0123456789-\n" },
	{ "a network-interface name in capitals",
		"network-interface WAN { port = \"xdp:e\" addresses = {10.0.0.1/24} }\n",
		"E: f:1: network-interface \"WAN\": is no name; allowed: 1 to 12 of abcdefghijklmnopqrstuvwxyz0123456789-\n" },
	{ "an empty name",
		"realm \"\" { }\n",
		"E: f:1: realm \"\": is no name; allowed: 1 to 63 of letters, digits, \".\", \"_\", \"-\"\n" },
	{ "a word that is no number",
		"trace { calls = many }\n",
		"E: f:1: trace.calls: \"many\" is no number; allowed: 0..1000000\n" },
	{ "a negative number",
		"trace { calls = -1 }\n",
		"E: f:1: trace.calls: \"-1\" is no number; allowed: 0..1000000\n" },
	{ "a number beyond 64 bits",
		"trace { calls = 99999999999999999999999 }\n",
		"E: f:1: trace.calls: \"99999999999999999999999\" is out of range; allowed: 0..1000000\n" },
	{ "a hexadecimal number",
		"trace { calls = 0x10 }\n",
		"E: f:1: trace.calls: \"0x10\" is no number; allowed: 0..1000000\n" },
	{ "a number out of range",
		"sip-config {\n"
		"\n"
		" shards = 65 }\n",
		"E: f:3: sip-config.shards: \"65\" is out of range; allowed: 1..64\n" },
	{ "a yes that is no yes",
		"snmp { enabled = true }\n",
		"E: f:1: snmp.enabled: \"true\" is neither yes nor no; allowed: yes, no\n" },
	{ "an unknown word",
		"system { log-level = verbose }\n",
		"E: f:1: system.log-level: \"verbose\" is not known; allowed: error, warning, notice, info, debug\n" },
	{ "a time with an unknown unit",
		"guard { deny-time = \"5w\" }\n",
		"E: f:1: guard.deny-time: \"5w\" is no time; allowed: 1s..2592000s, units ms s m h d\n" },
	{ "a time that is not in whole seconds",
		"guard { deny-time = \"1500ms\" }\n",
		"E: f:1: guard.deny-time: \"1500ms\" is not in whole seconds; allowed: 1s..2592000s, units ms s m h d\n" },
	{ "a timer out of range because it has no unit",
		"sip-config { t1 = 500 }\n",
		"E: f:1: sip-config.t1: \"500\" is out of range; allowed: 10ms..10s, units ms s m h d\n" },
	{ "a port of no kind",
		"network-interface a { port = \"foo:eth1\"\n"
		" addresses = {10.0.0.1/24} }\n",
		"E: f:1: network-interface a.port: \"foo:eth1\" is no port; allowed: pci:BDF, xdp:IF, packet:IF\n" },
	{ "a PCI address that is none",
		"network-interface a { port = \"pci:3:0.0\"\n"
		" addresses = {10.0.0.1/24} }\n",
		"E: f:1: network-interface a.port: \"pci:3:0.0\" is no port; allowed: pci:BDF, xdp:IF, packet:IF\n" },
	{ "a kernel interface name that is too long",
		"network-interface a { port = \"packet:a234567890123456\"\n"
		" addresses = {10.0.0.1/24} }\n",
		"E: f:1: network-interface a.port: \"packet:a234567890123456\" is no port; allowed: pci:BDF, xdp:IF, packet:IF\n" },
	{ "a port that is missing",
		"\n"
		"network-interface a { addresses = {10.0.0.1/24} }\n",
		"E: f:2: network-interface a.port: is missing; allowed: pci:BDF, xdp:IF, packet:IF\n" },
	{ "an empty list of addresses",
		"network-interface a { port = \"xdp:e\"\n"
		" addresses = {} }\n",
		"E: f:2: network-interface a.addresses: is empty; at least one value is needed\n" },
	{ "an address without prefix length",
		"network-interface a { port = \"xdp:e\"\n"
		" addresses = {\"10.0.0.1/24\",\n"
		" \"10.0.1.1\"} }\n",
		"E: f:3: network-interface a.addresses: \"10.0.1.1\" is no address with prefix length; allowed: ADDRESS/LENGTH\n" },
	{ "a prefix that is too long",
		"network-interface a { port = \"xdp:e\" addresses = {\"10.0.0.1/33\"} }\n",
		"E: f:1: network-interface a.addresses: \"10.0.0.1/33\" is no address with prefix length; allowed: ADDRESS/LENGTH\n" },
	{ "the address of a network",
		"network-interface a { port = \"xdp:e\" addresses = {\"10.0.0.0/24\"} }\n",
		"E: f:1: network-interface a.addresses: 10.0.0.0/24 cannot be an interface's address; allowed: a host's address, not that of a network, broadcast or multicast\n" },
	{ "a multicast address",
		"network-interface a { port = \"xdp:e\" addresses = {\"ff02::1/64\"} }\n",
		"E: f:1: network-interface a.addresses: ff02::1/64 cannot be an interface's address; allowed: a host's address, not that of a network, broadcast or multicast\n" },
	{ "an address on two interfaces",
		BASE "network-interface in { port = \"xdp:eth2\"\n"
		" addresses = {\"192.0.2.1/25\"} }\n",
		"W: f:4: network-interface in.addresses: its network is also that of network-interface out (line 1): what is sent there may leave by either\n"
		"E: f:4: network-interface in.addresses: 192.0.2.1 is an address of network-interface out too (line 1); allowed: each address once\n" },
	{ "a gateway that is not connected",
		"network-interface a { port = \"xdp:e\" addresses = {\"10.0.0.1/24\"}\n"
		" gateway = 10.0.1.1 }\n",
		"E: f:2: network-interface a.gateway: 10.0.1.1 is not connected; allowed: an address within addresses' prefixes\n" },
	{ "a gateway that is ourselves",
		"network-interface a { port = \"xdp:e\" addresses = {\"10.0.0.1/24\"}\n"
		" gateway = 10.0.0.1 }\n",
		"E: f:2: network-interface a.gateway: 10.0.0.1 is our own address; allowed: another address within addresses' prefixes\n" },
	{ "an IPv6 gateway for IPv4",
		"network-interface a { port = \"xdp:e\" addresses = {\"10.0.0.1/24\"}\n"
		" gateway = \"2001:db8::1\" }\n",
		"E: f:2: network-interface a.gateway: \"2001:db8::1\" is no IPv4 address; allowed: IPv4 address\n" },
	{ "a DSCP above 63",
		BASE "realm x { network-interface = out dscp-media = 64 }\n",
		"E: f:3: realm x.dscp-media: \"64\" is out of range; allowed: 0..63\n" },
	{ "a VLAN above 4094",
		"network-interface a { port = \"xdp:e\" addresses = {\"10.0.0.1/24\"} vlan = 4095 }\n",
		"E: f:1: network-interface a.vlan: \"4095\" is out of range; allowed: 0..4094\n" },
	{ "two interfaces on one port and vlan",
		BASE "network-interface b { port = \"xdp:eth1\"\n"
		" addresses = {\"10.0.0.1/24\"} }\n",
		"E: f:3: network-interface b.port: \"eth1\" with vlan 0 is that of network-interface out too (line 1); allowed: another port or another vlan\n" },
	{ "a DNS server that is a name",
		"sip-config { dns-servers = {\"192.0.2.53\",\n"
		" \"ns.example\", \"192.0.2.53:5353\", \"2001:db8::53\", \"[2001:db8::53]:5353\"} }\n",
		"E: f:2: sip-config.dns-servers: \"ns.example\" is no DNS server; allowed: up to 8 times ADDRESS or ADDRESS:PORT\n" },
	{ "more DNS servers than are asked",
		"sip-config { dns-servers = {192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6, 192.0.2.7, 192.0.2.8, 192.0.2.9} }\n",
		"E: f:1: sip-config.dns-servers: \"192.0.2.9\" is no DNS server; allowed: up to 8 times ADDRESS or ADDRESS:PORT\n" },
	{ "a floor of TTLs above their ceiling",
		"sip-config { dns-min-ttl = 60 dns-max-ttl = 59 }\n",
		"E: f:1: sip-config.dns-min-ttl: 60 is more than dns-max-ttl; allowed: at most 59\n" },
	{ "a core that is named twice",
		"media-manager {\n"
		" workers = {1, 2,\n"
		" 1} }\n",
		"E: f:3: media-manager.workers: core 1 is named twice; allowed: each core once\n" },
	{ "a memory size too small",
		"media-manager { memory = \"16\" }\n",
		"E: f:1: media-manager.memory: \"16\" is out of range; allowed: auto, 64..1048576 MiB\n" },
	{ "a realm on an unknown interface",
		BASE "realm x { network-interface = oot }\n",
		"E: f:3: realm x.network-interface: there is no network-interface \"oot\"; did you mean \"out\"?\n" },
	{ "a reference to nothing near",
		BASE "realm x { network-interface = elsewhere }\n",
		"E: f:3: realm x.network-interface: there is no network-interface \"elsewhere\"; allowed: name of a network-interface\n" },
	{ "a pool address that is not the realm's",
		BASE "steering-pool p { realm = r address = 192.0.2.9 ports = \"10000-20000\" }\n",
		"E: f:3: steering-pool p.address: 192.0.2.9 is no address of network-interface out, where realm r is; allowed: one of its addresses\n" },
	{ "a port range upside down",
		BASE "steering-pool p { realm = r address = 192.0.2.1\n"
		" ports = \"20000-10000\" }\n",
		"E: f:4: steering-pool p.ports: \"20000-10000\" is upside down; allowed: FIRST-LAST within 1024..65535, FIRST even\n" },
	{ "a port range that begins odd",
		BASE "steering-pool p { realm = r address = 192.0.2.1 ports = \"10001-20000\" }\n",
		"E: f:3: steering-pool p.ports: \"10001-20000\" begins with an odd port; allowed: FIRST-LAST within 1024..65535, FIRST even\n" },
	{ "a port range of one port",
		BASE "steering-pool p { realm = r address = 192.0.2.1 ports = \"10000-10000\" }\n",
		"E: f:3: steering-pool p.ports: \"10000-10000\" has no room for a pair of RTP and RTCP; allowed: FIRST-LAST within 1024..65535, FIRST even\n" },
	{ "a port range of system ports",
		BASE "steering-pool p { realm = r address = 192.0.2.1 ports = \"80-20000\" }\n",
		"E: f:3: steering-pool p.ports: \"80-20000\" is out of range; allowed: FIRST-LAST within 1024..65535, FIRST even\n" },
	{ "a port range that is none",
		BASE "steering-pool p { realm = r address = 192.0.2.1 ports = \"10000\" }\n",
		"E: f:3: steering-pool p.ports: \"10000\" is no port range; allowed: FIRST-LAST within 1024..65535, FIRST even\n" },
	{ "pools that overlap",
		BASE "steering-pool p { realm = r address = 192.0.2.1 ports = \"10000-20000\" }\n"
		"steering-pool q { realm = r address = 192.0.2.1\n"
		" ports = \"20000-30000\" }\n",
		"E: f:5: steering-pool q.ports: 192.0.2.1 port 20000 and following is taken by steering-pool p (line 3); allowed: ports nobody else has\n" },
	{ "a listener inside a pool",
		BASE "steering-pool p { realm = r address = 192.0.2.1 ports = \"5000-20000\" }\n"
		"sip-interface s { realm = r\n"
		" listen = {\"udp:192.0.2.1\"} }\n",
		"E: f:5: sip-interface s.listen: 192.0.2.1 port 5060 is taken by steering-pool p (line 3); allowed: ports nobody else has\n" },
	{ "two listeners on one port",
		BASE "sip-interface s { realm = r listen = {\"tcp:192.0.2.1:5060\",\n"
		" \"ws:192.0.2.1:5060\"} }\n",
		"E: f:4: sip-interface s.listen: 192.0.2.1 port 5060 is taken by sip-interface s (line 3); allowed: ports nobody else has\n" },
	{ "a listener on a foreign address",
		BASE "sip-interface s { realm = r\n"
		" listen = {\"udp:192.0.2.1:5060\", \"udp:192.0.2.2:5060\"} }\n",
		"E: f:4: sip-interface s.listen: 192.0.2.2 is no address of network-interface out, where realm r is; allowed: one of its addresses\n" },
	{ "a listener on a name",
		BASE "sip-interface s { realm = r listen = {\"udp:sbc.example\"} }\n",
		"E: f:3: sip-interface s.listen: \"udp:sbc.example\" is no address to listen on; allowed: TRANSPORT:ADDRESS[:PORT] with udp, tcp, tls, ws, wss\n" },
	{ "a listener on everything",
		BASE "sip-interface s { realm = r listen = {\"udp:0.0.0.0:5060\"} }\n",
		"E: f:3: sip-interface s.listen: 0.0.0.0 is no address of network-interface out, where realm r is; allowed: one of its addresses\n" },
	{ "a listener of unknown transport",
		BASE "sip-interface s { realm = r listen = {\"sctp:192.0.2.1:5060\"} }\n",
		"E: f:3: sip-interface s.listen: \"sctp:192.0.2.1:5060\" is no address to listen on; allowed: TRANSPORT:ADDRESS[:PORT] with udp, tcp, tls, ws, wss\n" },
	{ "a TLS listener without profile",
		BASE "sip-interface s { realm = r\n"
		"\n"
		" listen = {\"tls:192.0.2.1\"} }\n",
		"E: f:5: sip-interface s.listen: tls needs a tls-profile; allowed: with tls-profile = NAME beside it\n" },
	{ "an unknown ip-profile",
		BASE "ip-profile phone { }\n"
		"sip-interface s { realm = r listen = {\"udp:192.0.2.1\"}\n"
		" ip-profile = phnoe }\n",
		"E: f:5: sip-interface s.ip-profile: there is no ip-profile \"phnoe\"; did you mean \"phone\"?\n" },
	{ "an unknown SRTP suite",
		"ip-profile p { crypto-suites = {\"AEAD_AES_128_GCM\",\n"
		" \"ROT13\"} }\n",
		"E: f:2: ip-profile p.crypto-suites: \"ROT13\" is not known; allowed: AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32, AES_256_CM_HMAC_SHA1_80, AES_256_CM_HMAC_SHA1_32, AEAD_AES_128_GCM, AEAD_AES_256_GCM\n" },
	{ "SRTP without suites",
		"ip-profile p { media-security = prefer\n"
		" crypto-suites = {} }\n",
		"E: f:2: ip-profile p.crypto-suites: is empty, but media-security asks for SRTP; at least one value is needed\n" },
	{ "SRTP that is required where its keys are not said",
		BASE "ip-profile p { media-security = require }\n"
		     "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"}\n"
		     " ip-profile = p }\n"
		     "session-agent a { realm = r  address = \"udp:192.0.2.9\"  ip-profile = p }\n",
		"E: f:5: sip-interface s.ip-profile: ip-profile p requires SRTP, whose keys are not said by UDP or TCP: calls by these are refused; allowed: tls, wss, or srtp-without-tls = yes there\n"
		"E: f:6: session-agent a.ip-profile: ip-profile p requires SRTP, whose keys are not said by UDP or TCP; allowed: a tls address, or srtp-without-tls = yes there\n" },
	{ "headers that are not the operator's to make",
		"ip-profile p { source-header = \"X Source\"  agent-header = \"Via\" }\nip-profile q { source-header = "
		"\"P-Asserted-Identity\" }\n",
		"E: f:1: ip-profile p.source-header: \"X Source\" is no header of your own; allowed: a token that begins with X- or P-\n"
		"E: f:1: ip-profile p.agent-header: \"Via\" is no header of your own; allowed: a token that begins with X- or P-\n"
		"E: f:2: ip-profile q.source-header: \"P-Asserted-Identity\" is no header of your own; allowed: a token that begins with X- or P-\n" },
	{ "a codec that is no token",
		"ip-profile p { codecs-allow = {\"PCMA/8000\"} }\n",
		"E: f:1: ip-profile p.codecs-allow: \"PCMA/8000\" is no token; allowed: letters, digits, - . _ +\n" },
	{ "a body that is no media type",
		BASE "ip-profile p { bodies-pass = {\"image/*\", \"isup\", \"*/*\", \"a/b*\"}  headers-drop = {\"X Y\"} }\n",
		"E: f:3: ip-profile p.headers-drop: \"X Y\" is no token; allowed: letters, digits, - . _ +\n"
		"E: f:3: ip-profile p.bodies-pass: \"isup\" is no media type; allowed: TYPE/SUBTYPE or TYPE/*\n"
		"E: f:3: ip-profile p.bodies-pass: \"*/*\" is no media type; allowed: TYPE/SUBTYPE or TYPE/*\n"
		"E: f:3: ip-profile p.bodies-pass: \"a/b*\" is no media type; allowed: TYPE/SUBTYPE or TYPE/*\n" },
	{ "an agent at a mistyped address",
		BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
		"session-agent a { realm = r address = \"udp:10.0.0.300:5060\" }\n",
		"E: f:4: session-agent a.address: \"udp:10.0.0.300:5060\" is no SIP endpoint; allowed: TRANSPORT:HOST[:PORT] with udp, tcp, tls, ws, wss\n" },
	{ "an agent on port 0",
		BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
		"session-agent a { realm = r address = \"udp:pbx.example:0\" }\n",
		"E: f:4: session-agent a.address: \"udp:pbx.example:0\" is no SIP endpoint; allowed: TRANSPORT:HOST[:PORT] with udp, tcp, tls, ws, wss\n" },
	{ "registration without username",
		BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
		"session-agent a { realm = r address = \"udp:10.0.0.5\"\n"
		" register = yes }\n",
		"E: f:5: session-agent a.register: needs a username; allowed: with username = TEXT beside it\n" },
	{ "a password without username",
		BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
		"session-agent a { realm = r address = \"udp:10.0.0.5\" password = \"x\" }\n",
		"E: f:4: session-agent a.password: needs a username; allowed: with username = TEXT beside it\n" },
	{ "a secret at a relative path",
		BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
		"session-agent a { realm = r address = \"udp:10.0.0.5\" username = u password = \"file:secret\" }\n",
		"E: f:4: session-agent a.password: \"file:secret\" is no absolute path; allowed: text, file:/PATH\n" },
	{ "a secret that is too long, without saying it",
		BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
		"session-agent a { realm = r address = \"udp:10.0.0.5\" username = u password = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" }\n",
		"E: f:4: session-agent a.password: \"********\" is too long; allowed: text, file:/PATH\n" },
	{ "an agent twice in a group",
		BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
		"session-agent a { realm = r address = \"udp:10.0.0.5\" }\n"
		"session-group g { agents = {a,\n"
		" a} }\n",
		"E: f:6: session-group g.agents: a is named twice; allowed: each agent once\n" },
	{ "an unknown agent in a group",
		BASE "sip-interface s { realm = r listen = {\"udp:192.0.2.1\"} }\n"
		"session-agent pbx { realm = r address = \"udp:10.0.0.5\" }\n"
		"session-group g { agents = {pbx, pxb} }\n",
		"E: f:5: session-group g.agents: there is no session-agent \"pxb\"; did you mean \"pbx\"?\n" },
	{ "a retry upon success",
		"session-group g { agents = {}\n"
		" retry-on = {200} }\n",
		"E: f:1: session-group g.agents: is empty; at least one value is needed\n"
		"E: f:2: session-group g.retry-on: \"200\" is out of range; allowed: 300..699\n" },
	{ "a next hop of no kind",
		"local-policy p { next-hop = \"pbx\" }\n",
		"E: f:1: local-policy p.next-hop: \"pbx\" is no next hop; allowed: agent:NAME, group:NAME, registration\n" },
	{ "a next hop to an unknown agent",
		"local-policy p { next-hop = \"agent:pbx\" }\n",
		"E: f:1: local-policy p.next-hop: there is no session-agent \"pbx\"; allowed: name of a session-agent\n" },
	{ "a next hop to an unknown group",
		"local-policy p { next-hop = \"group:pbx\" }\n",
		"E: f:1: local-policy p.next-hop: there is no session-group \"pbx\"; allowed: name of a session-group\n" },
	{ "a pattern that does not compile",
		"translation t {\n"
		" match = \"(\" }\n",
		"E: f:2: translation t.match: \"(\" is no pattern: Unmatched ( or \\(; allowed: POSIX extended regular expression\n" },
	{ "a pattern with a back reference",
		"translation t { match = \"(a)\\\\1\" }\n",
		"E: f:1: translation t.match: \"(a)\\1\" is no pattern: back references are not supported; allowed: POSIX extended regular expression\n" },
	{ "a pattern whose intervals multiply",
		"translation t { match = \"((a{99}){99}){99}\" }\n",
		"E: f:1: translation t.match: \"((a{99}){99}){99}\" is no pattern: its intervals make it too large; allowed: POSIX extended regular expression\n" },
	{ "a pattern whose repetitions double it each time",
		"translation t { match = \"(a)+++++++++++++++++++++++++++++++\" }\n",
		"E: f:1: translation t.match: \"(a)+++++++++++++++++++++++++++++++\" is no pattern: its intervals make it too large; allowed: POSIX extended regular expression\n" },
	{ "a replacement for a group the pattern has not",
		"translation t { match = \"(a)b\"\n"
		" replace = \"\\\\2\" }\n",
		"E: f:2: translation t.replace: asks for group 2 of the pattern, which has 1; allowed: groups the pattern has\n" },
	{ "a header rule that deletes with a value",
		"sip-manipulation m { rule 1 { action = delete header = \"X-A\"\n"
		" value = \"x\" } }\n",
		"E: f:2: sip-manipulation m.rule 1.value: means nothing to delete; allowed: none\n" },
	{ "a header rule that adds nothing",
		"sip-manipulation m {\n"
		" rule 1 { action = add header = \"X-A\" } }\n",
		"E: f:2: sip-manipulation m.rule 1.value: is missing; allowed: text to add or put in place\n" },
	{ "a header name with a space",
		"sip-manipulation m { rule 1 { action = delete\n"
		" header = \"X A\" } }\n",
		"E: f:2: sip-manipulation m.rule 1.header: \"X A\" is no header name; allowed: letters, digits, - . _ +\n" },
	{ "a rule that is defined twice",
		"sip-manipulation m { rule 1 { action = delete header = \"X-A\" }\n"
		" rule 1 { action = delete header = \"X-B\" } }\n",
		"E: f:2: sip-manipulation m.rule 1: is defined twice, first on line 1\n" },
	{ "an unknown setting in a rule",
		"sip-manipulation m { rule 1 { action = delete header = \"X-A\"\n"
		" valeu = \"x\" } }\n",
		"E: f:2: sip-manipulation m.rule 1: \"valeu\" is no setting; did you mean \"value\"?\n" },
	{ "an action of no kind",
		BASE "access-control a { realm = r source = \"10.0.0.0/8\" action = drop }\n",
		"E: f:3: access-control a.action: \"drop\" is not known; allowed: deny, permit\n" },
	{ "a source that is no prefix",
		BASE "access-control a { realm = r source = \"10.0.0.0/8/8\" action = deny }\n",
		"E: f:3: access-control a.source: \"10.0.0.0/8/8\" is no prefix; allowed: ADDRESS/LENGTH or ADDRESS\n" },
	{ "a source with two rules in one realm",
		BASE "access-control a { realm = r source = \"10.0.0.0/8\" action = deny }\n"
		"realm q { network-interface = out }\n"
		"access-control b { realm = q source = \"10.0.0.0/8\" action = permit }\n"
		"access-control c { realm = r source = \"10.0.0.0/9\" action = permit }\n"
		"access-control d { realm = r action = permit\n"
		" source = \"10.0.0.0/8\" }\n",
		"E: f:8: access-control d.source: 10.0.0.0/8 in realm r is that of access-control a too (line 3); allowed: each source once per realm\n" },
	{ "two rules that mean one network",
		BASE "access-control a { realm = r source = \"2001:db8:1::/32\" action = deny }\n"
		"access-control b { realm = r source = \"2001:db8::/32\" action = permit }\n",
		"W: f:3: access-control a.source: has bits behind its length: 2001:db8::/32 is meant\n"
		"E: f:4: access-control b.source: 2001:db8::/32 in realm r is that of access-control a too (line 3); allowed: each source once per realm\n" },
	{ "denials that end before they begin",
		"guard { deny-time = 600\n"
		" deny-time-max = 60 }\n",
		"E: f:2: guard.deny-time-max: is shorter than deny-time; allowed: deny-time or longer\n" },
	{ "timers that contradict each other",
		"sip-config { t1 = \"2s\"\n"
		" t2 = \"1s\" }\n",
		"E: f:2: sip-config.t2: is shorter than t1; allowed: t1 or longer\n" },
	{ "a relative run directory",
		"system { run-directory = \"run\" }\n",
		"E: f:1: system.run-directory: \"run\" is no absolute path; allowed: /PATH\n" },
	{ "a system user with capitals",
		"system { user = \"Root\" }\n",
		"E: f:1: system.user: \"Root\" is no user name; allowed: small letters, digits, \"_\", \"-\"\n" },
	{ "a collector that is none",
		"trace { hep = \"collector\" }\n",
		"E: f:1: trace.hep: \"collector\" is no collector; allowed: udp:HOST:PORT, tcp:HOST:PORT, tls:HOST:PORT\n" },
	{ "a listener without port",
		"metrics { listen = \"127.0.0.1\" }\n",
		"E: f:1: metrics.listen: \"127.0.0.1\" is no address with port; allowed: ADDRESS:PORT, [IPV6]:PORT, or empty\n" },
	{ "two management listeners on one port",
		"metrics { listen = \"127.0.0.1:2022\" }\n"
		"ssh { listen = \"127.0.0.1:2022\" }\n",
		"E: f:2: ssh.listen: is metrics.listen too (line 1); allowed: another port\n" },
	{ "alarms that would come and go at once",
		"alarms { in-use-raise = 70 in-use-clear = 71 disk-clear = 10 disk-raise = 20 }\n",
		"E: f:1: alarms.in-use-clear: 71 is above in-use-raise; allowed: 0..70\n"
		"E: f:1: alarms.disk-clear: 10 is below disk-raise; allowed: 20..100\n" },
	{ "an unknown role",
		"user admin { role = root keys = {\"ssh-ed25519 AAAA\"} }\n",
		"E: f:1: user admin.role: \"root\" is not known; allowed: monitor, operator, admin\n" },
	{ "a key that is none",
		"user admin { role = admin\n"
		" keys = {\"ssh-ed25519 AAAA\",\n"
		" \"hello\"} }\n",
		"E: f:3: user admin.keys: \"hello\" is no public key; allowed: TYPE BASE64, as ssh-keygen writes it\n" },
	{ "a password in place of its hash",
		"user admin { role = admin password-hash = \"secret\" }\n",
		"E: f:1: user admin.password-hash: is no hash; allowed: what mkpasswd prints, file:/PATH, or empty\n" },
	{ "a relative certificate path",
		"tls-profile t { certificate = \"cert.pem\" key = \"/dev/null\" }\n",
		"E: f:1: tls-profile t.certificate: \"cert.pem\" is no file name; allowed: absolute path\n"
		"W: f:1: tls-profile t.key: file /dev/null: is no plain file\n" },
	{ "a second certificate without its key, a pin that is none, a name that is none",
		"tls-profile t { certificate = \"/proc/self/status\" key = \"/proc/self/status\"\n"
		" second-certificate = \"/proc/self/status\"\n"
		" pins = {\"x123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}\n"
		" server-names = {\"sbc.example\", \"*.example\", \"a.*\"} }\n",
		"E: f:2: tls-profile t.second-certificate: stands alone; allowed: with second-key beside it\n"
		"E: f:3: tls-profile t.pins: \"x123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\" is no digest; allowed: 64 hexadecimal digits\n"
		"E: f:4: tls-profile t.server-names: \"a.*\" is no name of a server; allowed: a host name, *.NAME\n" },
};
/* clang-format on */

static void each_mistake_is_refused_with_its_exact_lines(void **state)
{
	static struct capture c;
	struct config *config;

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		int error = capture_load(&c, mistakes[i].text, false, &config);

		if (error != -EINVAL || strcmp(c.text, mistakes[i].lines))
			print_error("%s\n", mistakes[i].what);
		assert_string_equal(c.text, mistakes[i].lines);
		assert_int_equal(error, -EINVAL);
		assert_null(config);
	}
}

static void the_table_holds_sixty_mistakes_and_more(void **state)
{
	(void)state;
	assert_true(sizeof(mistakes) / sizeof(mistakes[0]) >= 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_is_refused_with_its_exact_lines),
		cmocka_unit_test(the_table_holds_sixty_mistakes_and_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
