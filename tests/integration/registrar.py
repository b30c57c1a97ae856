# SPDX-License-Identifier: BSD-3-Clause
"""Kamailio as a registrar with passwords, in the PBX's place; and phones that know theirs."""

import hashlib
import os
import re
import signal
import socket
import subprocess

import netns
from nat import Registration
from sip import compose, token

MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules/"
HOST = "10.0.0.5"
REALM = "pbx.inside"

CONFIGURATION = """
debug=2  log_stderror=yes  children=2  auto_aliases=no  dns=no
listen=udp:@HOST@:5060
mpath="@MODULES@"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 7200)
modparam("registrar", "default_expires", 3600)
modparam("registrar", "use_path", 1)
modparam("registrar", "path_mode", 0)
modparam("registrar", "gruu_enabled", 0)

request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("OPTIONS")) { sl_send_reply("200", "OK"); exit; }
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("@REALM@", "secret-$tU", "0")) { www_challenge("@REALM@", "1"); exit; }
        if ($au != $tU) { sl_send_reply("403", "Forbidden"); exit; }
        save("location");
        exit;
    }
    if (has_totag()) {
        if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
        loose_route();
        t_relay();
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    record_route();
    t_relay();
}
"""


class Kamailio:
    def __init__(self, stack):
        self.stack, self.namespace = stack, stack.lab.namespace("pbx")
        self.path = stack.lab.directory / "kamailio.cfg"
        text = CONFIGURATION
        for key, value in {"HOST": HOST, "MODULES": MODULES, "REALM": REALM}.items():
            text = text.replace(f"@{key}@", value)
        self.path.write_text(text)
        self.process = None
        self.start()
        stack.closing.append(self)

    def start(self):
        with open(self.stack.lab.directory / "kamailio.log", "ab") as log:
            self.process = netns.popen(
                self.namespace, ["kamailio", "-f", str(self.path), "-DD", "-E", "-m", "32", "-M", "8"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        probe = netns.udp_socket(self.namespace, HOST)
        probe.settimeout(0.2)
        port = probe.getsockname()[1]

        def answers():
            assert self.process.poll() is None, (self.stack.lab.directory / "kamailio.log").read_text()[-2000:]
            probe.sendto(compose(f"OPTIONS sip:{HOST} SIP/2.0", [
                ("Via", f"SIP/2.0/UDP {HOST}:{port};branch=z9hG4bK{token()}"), ("Max-Forwards", "70"), ("From", f"<sip:a@{HOST}>;tag=1"),
                ("To", f"<sip:{HOST}>"), ("Call-ID", token()), ("CSeq", "1 OPTIONS")]), (HOST, 5060))
            try:
                return probe.recv(65535).startswith(b"SIP/2.0 200")
            except (TimeoutError, socket.error):
                return False

        netns.wait_for("kamailio", answers, 20)
        probe.close()

    def stop(self):
        """All its processes; what it knew is gone."""
        if self.process and self.process.poll() is None:
            # As by a power cut. Asked to end, it now and then waits for children of its own that never do.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)

    close = stop


def digest(challenge, method, uri, user, password):
    """Authorization for a challenge (RFC 7616), MD5 or SHA-256, with qop=auth where it is offered."""
    fields = {name.lower(): quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', challenge)}
    algorithm = fields.get("algorithm", "MD5")
    hashed = lambda text: (hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5)(text.encode()).hexdigest()
    ha1, ha2 = hashed(f"{user}:{fields['realm']}:{password}"), hashed(f"{method}:{uri}")
    nonce = fields["nonce"]
    common = f'Digest username="{user}", realm="{fields["realm"]}", nonce="{nonce}", uri="{uri}", algorithm={algorithm}'
    if "opaque" in fields:
        common += f', opaque="{fields["opaque"]}"'
    if "qop" not in fields:
        plain = hashed(f"{ha1}:{nonce}:{ha2}")
        return f'{common}, response="{plain}"'
    cnonce = token()
    response = hashed(f"{ha1}:{nonce}:00000001:{cnonce}:auth:{ha2}")
    return f'{common}, response="{response}", qop=auth, nc=00000001, cnonce="{cnonce}"'


class Registered(Registration):
    """A phone with a password."""

    def __init__(self, phone, user, password=None, **kwargs):
        super().__init__(phone, user, **kwargs)
        self.password = password or f"secret-{user}"
        self.challenges = 0

    def register(self, expires=None):
        """The final answer, after at most one challenge."""
        self.headers = [h for h in self.headers if h[0] != "Authorization"]
        self.send(expires)
        answer = self.answer()
        if answer.status == 401:
            self.challenges += 1
            value = digest(answer["www-authenticate"], "REGISTER", f"sip:{self.to[0]}", self.user, self.password)
            self.headers = [*self.headers, ("Authorization", value)]
            self.send(expires)
            answer = self.answer()
        return answer
