"""Certificates for 127.0.0.1 that no client may accept, made anew each time."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)
_KEY_USES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


@dataclass(frozen=True)
class Authority:
    """Whose certificates the gateway trusts: so it is for its own fault that one is refused."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("Tidal authority")
    built = _builder(name, name, key, days=30).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    # Python 3.13 asks for both.
    built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    uses = dict.fromkeys(_KEY_USES, False) | {"key_cert_sign": True, "crl_sign": True}
    built = built.add_extension(x509.KeyUsage(**uses), True)
    return Authority(key, built.sign(key, hashes.SHA256()))


def context(folder: Path, issuer: Authority | None, *, host: str = "127.0.0.1", days: int = 30) -> ssl.SSLContext:
    """A server's certificate of that issuer, or of its own, which ends in `days` (negative: it has ended)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(host)
    builder = _builder(subject, issuer.certificate.subject if issuer else subject, key, days=days)
    names = x509.IPAddress(ip_address(host)) if host[0] in ":0123456789" else x509.DNSName(host)
    builder = builder.add_extension(x509.SubjectAlternativeName([names]), False)
    issuing_key = issuer.key if issuer else key
    # Python 3.13 asks for this one, too.
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing_key.public_key())
    signed = builder.add_extension(identifier, False).sign(issuing_key, hashes.SHA256())
    file = folder / f"{host}-{days}-{'trusted' if issuer else 'own'}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file)
    return made


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 60 * _DAY)
        .not_valid_after(now + days * _DAY)
    )
