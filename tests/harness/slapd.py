"""An LDAP server of its own for one test run: OpenLDAP's slapd on loopback, with StartTLS, LDAPS and a CA."""

import base64
import datetime
import ipaddress
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.servers import ServerFailed, free_port

SUFFIX = "dc=example,dc=org"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
READER = f"cn=reader,{SUFFIX}"
READER_PASSWORD = "the-reader-of-the-tests"
START_LIMIT_S = 20

#: Debian keeps it where only root looks.
SLAPD, SLAPADD = (shutil.which(name, path="/usr/sbin:/usr/local/sbin") for name in ("slapd", "slapadd"))

CONFIG = """
modulepath /usr/lib/ldap
moduleload back_mdb
{schemas}
pidfile {dir}/slapd.pid
argsfile {dir}/slapd.args
threads 8
TLSCACertificateFile {dir}/ca.pem
TLSCertificateFile {dir}/server.pem
TLSCertificateKeyFile {dir}/server.key
sizelimit {sizelimit}
database mdb
maxsize 268435456
suffix "{suffix}"
rootdn "cn=root,{suffix}"
rootpw unused-{port}
directory {dir}/data
index objectClass,uid,cn,member,memberUid eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
"""


def entry(dn, **attributes):
    """One entry as LDIF; a value may be text, bytes, or a list of them."""
    lines = [line("dn", dn)]
    for name, values in attributes.items():
        lines += [line(name, value) for value in (values if isinstance(values, list) else [values])]
    return "\n".join(lines) + "\n"


def line(name, value):
    value = value if isinstance(value, bytes) else value.encode()
    return f"{name}:: {base64.b64encode(value).decode()}"


def person(uid, cn, password=None, flags=512, **more):
    """Somebody as a directory of Microsoft's would have them, as far as the flags go."""
    escaped = "".join("\\" + c if c in ',+"\\<>;=#' else c for c in uid)
    secret = {"userPassword": password} if password else {}
    return entry(
        f"uid={escaped},{PEOPLE}",
        objectClass="inetOrgPerson",
        uid=uid,
        cn=cn,
        sn=cn,
        employeeNumber=str(flags),
        **secret,
        **more,
    )


def group(cn, members, **more):
    return entry(f"cn={cn},{GROUPS}", objectClass="groupOfNames", cn=cn, member=members, **more)


def skeleton():
    """What every directory begins with."""
    return [
        entry(SUFFIX, objectClass=["dcObject", "organization"], dc="example", o="Example"),
        entry(PEOPLE, objectClass="organizationalUnit", ou="people"),
        entry(GROUPS, objectClass="organizationalUnit", ou="groups"),
        entry(READER, objectClass=["organizationalRole", "simpleSecurityObject"], cn="reader", userPassword=READER_PASSWORD),
    ]


class Slapd:
    """`entries` are pieces of LDIF; `sizelimit` is the most that the server gives at once without pages."""

    def __init__(self, directory, entries, sizelimit="unlimited"):
        self.directory = Path(directory)
        self.port, self.tls_port = free_port(), free_port()
        self.sizelimit = sizelimit
        self.process = None
        (self.directory / "data").mkdir(parents=True)
        make_certificates(self.directory)
        schemas = "\n".join(f"include /etc/ldap/schema/{name}.schema" for name in ("core", "cosine", "inetorgperson", "nis"))
        self.config_file.write_text(
            CONFIG.format(
                dir=self.directory, schemas=schemas, suffix=SUFFIX, reader=READER, port=self.port, sizelimit=sizelimit
            )
        )
        ldif = self.directory / "entries.ldif"
        ldif.write_text("\n".join(skeleton() + list(entries)))
        done = subprocess.run(
            [SLAPADD, "-q", "-f", self.config_file, "-l", ldif], capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise ServerFailed(f"slapadd exited {done.returncode}:\n{done.stderr[-2000:]}")

    @property
    def config_file(self):
        return self.directory / "slapd.conf"

    @property
    def url(self):
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldaps_url(self):
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ca_file(self):
        return str(self.directory / "ca.pem")

    def options(self, **more):
        """`[ldap]` of a domain that lives here; None takes an option out."""
        options = {
            "url": self.url,
            "user": READER,
            "password": READER_PASSWORD,
            "suffix": SUFFIX,
            "query_scope": "sub",
            "page_size": 500,
            "user_tree_dn": PEOPLE,
            "user_objectclass": "inetOrgPerson",
            "user_id_attribute": "uid",
            "user_name_attribute": "cn",
            "user_enabled_attribute": "employeeNumber",
            "user_enabled_mask": 2,
            "user_enabled_default": "512",
            "group_tree_dn": GROUPS,
            "group_id_attribute": "cn",
            "group_name_attribute": "cn",
        }
        return {name: value for name, value in {**options, **more}.items() if value is not None}

    def start(self):
        with open(self.directory / "slapd.log", "ab") as log:
            self.process = subprocess.Popen(
                [SLAPD, "-f", self.config_file, "-h", f"{self.url} {self.ldaps_url}", "-d", "0"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise ServerFailed(f"slapd did not start:\n{(self.directory / 'slapd.log').read_text()[-2000:]}")

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *failure):
        self.stop()


def make_certificates(directory):
    """`ca.pem`, and `server.pem` with `server.key` that it vouches for; `other.pem` vouches for nobody."""
    ca_key, ca = certify("The tests' authority", None, None, is_ca=True)
    key, certificate = certify("127.0.0.1", ca_key, ca)
    _, other = certify("Another authority", None, None, is_ca=True)
    pem = serialization.Encoding.PEM
    (directory / "ca.pem").write_bytes(ca.public_bytes(pem))
    (directory / "other.pem").write_bytes(other.public_bytes(pem))
    (directory / "server.pem").write_bytes(certificate.public_bytes(pem))
    (directory / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def certify(name, issuer_key, issuer, is_ca=False):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return key, builder.sign(issuer_key or key, hashes.SHA256())
