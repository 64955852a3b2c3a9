"""The other end of SAML: a key pair for an identity provider, and what a service provider does with an assertion."""

import datetime
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

ASSERTION = "{urn:oasis:names:tc:SAML:2.0:assertion}"

#: Options of an identity provider; `make_key_pair` makes its files.
IDENTITY_PROVIDER = {
    "certfile": "{dir}/saml.crt",
    "keyfile": "{dir}/saml.key",
    "idp_entity_id": "https://idp.example/v3/OS-FEDERATION/saml2/idp",
    "idp_sso_endpoint": "https://idp.example/v3/OS-FEDERATION/saml2/sso",
}


def make_key_pair(directory):
    """Writes `saml.key` and a certificate for it, `saml.crt`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (Path(directory) / "saml.key").write_bytes(private)
    (Path(directory) / "saml.crt").write_bytes(certificate.public_bytes(pem))


def is_signed(document, certificate, directory):
    """Whether xmlsec1 finds the assertion in a document signed by this certificate's key."""
    file = Path(directory) / "to-verify.xml"
    file.write_text(document)
    command = ["xmlsec1", "--verify", "--enabled-key-data", "raw-x509-cert,rsa", "--pubkey-cert-pem", str(certificate)]
    command += ["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", str(file)]
    return subprocess.run(command, capture_output=True, timeout=30).returncode == 0


def attributes(document):
    """The attributes that an assertion states: a list of values for each name."""
    stated = ElementTree.fromstring(document).iter(f"{ASSERTION}Attribute")
    return {attribute.get("Name"): [value.text for value in attribute] for attribute in stated}
