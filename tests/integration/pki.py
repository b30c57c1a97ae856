# SPDX-License-Identifier: BSD-3-Clause
"""A PKI for tests, made by the openssl program: a root, an intermediate, and whatever certificates a test asks for.

    pki = Pki.of_this_run()
    sbc = pki.issue("sbc", dns=["sbc.example.test"], uri=["sip:example.test"], ip=["203.0.113.10"])
    sbc.certificate, sbc.key       the chain (leaf, intermediate) and its key, PEM
    pki.ca                         the root that verifiers trust

What was asked for once with the same words is not made again in one run. Nothing of it outlives the run.
"""

import atexit
import datetime
import functools
import pathlib
import shutil
import subprocess
import tempfile
import threading

# RFC 5924 section 4: id-kp-sipDomain.
SIP_DOMAIN = "1.3.6.1.5.5.7.3.20"

CONFIGURATION = """
[ca]
default_ca = this
[this]
database = {directory}/index
serial = {directory}/serial
crlnumber = {directory}/crlnumber
new_certs_dir = {directory}
certificate = {directory}/ca.pem
private_key = {directory}/ca.key
default_md = sha256
default_crl_days = 30
unique_subject = no
policy = any
[any]
commonName = supplied
organizationName = optional
[req]
distinguished_name = any
prompt = no
"""


def openssl(*words, **kwargs):
    result = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, **kwargs)
    if result.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, words))}: {result.stderr}")
    return result.stdout


def moment(offset):
    """A time as `openssl ca` takes it; offset: days from now, or a timedelta."""
    if not isinstance(offset, datetime.timedelta):
        offset = datetime.timedelta(days=offset)
    return (datetime.datetime.now(datetime.timezone.utc) + offset).strftime("%Y%m%d%H%M%SZ")


def make_key(path, kind):
    if kind == "rsa":
        openssl("genrsa", "-out", path, "2048")
    else:
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    pathlib.Path(path).chmod(0o644)


class Issued:
    """A certificate with its key: `leaf` alone, `certificate` with the intermediate behind it."""

    def __init__(self, name, directory):
        self.name = name
        self.leaf = str(directory / f"{name}.pem")
        self.certificate = str(directory / f"{name}.chain")
        self.key = str(directory / f"{name}.key")

    def fingerprint(self):
        """SHA-256 of the certificate, as openssl prints it."""
        return openssl("x509", "-in", self.leaf, "-noout", "-fingerprint", "-sha256").strip().split("=", 1)[1]

    def spki(self):
        """SHA-256 of the public key in hexadecimal, lower case: what a pin names."""
        public = openssl("x509", "-in", self.leaf, "-noout", "-pubkey")
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public.encode(), capture_output=True, check=True)
        digest = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der.stdout, capture_output=True, check=True)
        return digest.stdout.decode().split()[0]


class Authority:
    """One CA: its certificate, and `openssl ca`'s small database."""

    def __init__(self, directory, name, parent=None, days=3650):
        self.directory = directory / name
        self.directory.mkdir()
        self.certificate = self.directory / "ca.pem"
        self.key = self.directory / "ca.key"
        self.configuration = self.directory / "ca.cnf"
        self.configuration.write_text(CONFIGURATION.format(directory=self.directory))
        (self.directory / "index").touch()
        (self.directory / "serial").write_text("1000\n")
        (self.directory / "crlnumber").write_text("01\n")
        extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
        make_key(self.key, "ecdsa")
        (parent or self).sign(self.key, self.certificate, f"/CN=Test {name}", extensions, -30, days, self_signed=not parent)

    def sign(self, key, certificate, subject, extensions, begin, end, self_signed=False):
        request, more = f"{certificate}.csr", f"{certificate}.ext"
        pathlib.Path(more).write_text(extensions)
        openssl("req", "-new", "-key", key, "-subj", subject, "-config", self.configuration, "-out", request)
        openssl("ca", "-batch", "-notext", "-config", self.configuration, "-in", request, "-out", certificate, "-extfile", more,
                "-startdate", moment(begin), "-enddate", moment(end), "-rand_serial",
                *(["-selfsign", "-keyfile", key] if self_signed else []))

    def crl(self, path):
        openssl("ca", "-gencrl", "-config", self.configuration, "-out", path)


class Pki:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.root = Authority(self.directory, "root")
        self.intermediate = Authority(self.directory, "intermediate", parent=self.root)
        self.lock = threading.Lock()
        self.stranger = None
        self.issued = {}

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def of_this_run():
        directory = tempfile.mkdtemp(prefix="sallyport-pki-")
        pathlib.Path(directory).chmod(0o755)
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        return Pki(directory)

    @property
    def ca(self):
        """The trusted root."""
        return str(self.root.certificate)

    @property
    def unknown_ca(self):
        """A root that has issued what `unknown()` gives."""
        return str(self._stranger().certificate)

    def _stranger(self):
        if not self.stranger:
            self.stranger = Authority(self.directory, "stranger")
        return self.stranger

    def issue(self, name, dns=(), uri=(), ip=(), cn=None, key="ecdsa", begin=-1, end=365, eku="serverAuth,clientAuth",
              by="intermediate", again=False):
        """A certificate. key: "ecdsa" or "rsa". begin, end: days from now (negative: past), or timedeltas. eku: None leaves the
        extension out. by: "intermediate", "root", "stranger" (whom nobody trusts), "itself". Without dns, uri and ip it has a subject
        alone. again: a fresh one, whatever was made before."""
        words = (name, tuple(dns), tuple(uri), tuple(ip), cn, key, begin, end, eku, by)
        with self.lock:
            if words not in self.issued or again:
                self.issued[words] = self._issue(*words)
            return self.issued[words]

    def _issue(self, name, dns, uri, ip, cn, key, begin, end, eku, by):
        result = Issued(f"{name}-{len(list(self.directory.glob('*.key')))}", self.directory)
        names = [f"DNS:{n}" for n in dns] + [f"URI:{n}" for n in uri] + [f"IP:{n}" for n in ip]
        extensions = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n"
        if eku:
            extensions += f"extendedKeyUsage={eku}\n"
        if names:
            extensions += f"subjectAltName={','.join(names)}\n"
        make_key(result.key, key)
        authority = self._stranger() if by == "stranger" else self.intermediate if by == "intermediate" else self.root
        authority.sign(result.key, result.leaf, f"/CN={cn or name}", extensions, begin, end, self_signed=by == "itself")
        chain = pathlib.Path(result.leaf).read_text()
        if by == "intermediate":
            chain += self.intermediate.certificate.read_text()
        pathlib.Path(result.certificate).write_text(chain)
        return result

    # --- what is wrong with a certificate, by name; each takes what issue() takes ---

    def expired(self, name, **kwargs):
        return self.issue(name, begin=-20, end=-2, **kwargs)

    def not_yet_valid(self, name, **kwargs):
        return self.issue(name, begin=2, end=365, **kwargs)

    def expiring(self, name, days, **kwargs):
        """Ends in `days` and an hour: so many whole days are left."""
        return self.issue(name, end=datetime.timedelta(days=days, hours=1), **kwargs)

    def self_signed(self, name, **kwargs):
        return self.issue(name, by="itself", **kwargs)

    def unknown(self, name, **kwargs):
        return self.issue(name, by="stranger", **kwargs)

    def revoked(self, name, **kwargs):
        """A certificate that `crl()` lists from now on."""
        result = self.issue(name, **kwargs)
        openssl("ca", "-config", self.intermediate.configuration, "-revoke", result.leaf)
        return result

    def crl(self):
        """The lists of the intermediate and of the root in one file: what is revoked now."""
        path = self.directory / "crl.pem"
        parts = []
        for authority in (self.intermediate, self.root):
            part = authority.directory / "crl.pem"
            authority.crl(part)
            parts.append(part.read_text())
        path.write_text("".join(parts))
        return str(path)
