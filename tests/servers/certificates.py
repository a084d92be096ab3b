"""Certificates for tests: good ones, and one for each way of being bad."""

from __future__ import annotations

import dataclasses
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

DAY = timedelta(days=1)
KEYSTORE_PASSWORD = "changeit"


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its key: as PEM files, and both in one PKCS #12 file for Java."""

    certificate: Path
    key: Path
    keystore: Path


@dataclass(frozen=True)
class Certificates:
    """Files for TLS tests.

    A client that trusts `authority` accepts a server that presents `server` (for localhost and
    127.0.0.1) and no other; nobody's certificate is signed by `other_authority`.
    """

    authority: Path
    other_authority: Path
    server: KeyPair
    expired: KeyPair
    wrong_host: KeyPair
    client: KeyPair

    @classmethod
    def create(cls, directory: Path) -> Self:
        """Make all of them in `directory`, in a fraction of a second."""
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        now = datetime.now(UTC)
        authority = _Authority("tidings test authority", now)
        other = _Authority("another authority", now)
        good = (now - DAY, now + 30 * DAY)
        return cls(
            authority=_write(directory / "authority.pem", _pem(authority.certificate)),
            other_authority=_write(directory / "other_authority.pem", _pem(other.certificate)),
            server=authority.issue(directory, "server", "localhost", good),
            expired=authority.issue(directory, "expired", "localhost", (now - 2 * DAY, now - DAY)),
            wrong_host=authority.issue(directory, "wrong_host", "elsewhere.example", good),
            client=authority.issue(directory, "client", "relay", good),
        )

    def presenting(self, pair: KeyPair) -> Self:
        """Return these certificates for a server that presents `pair` in place of `server`."""
        return dataclasses.replace(self, server=pair)


class _Authority:
    """A certificate authority that lives as long as one call of `Certificates.create`."""

    def __init__(self, name: str, now: datetime) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        self.certificate = (
            _builder(subject, subject, self.key.public_key(), (now - 3 * DAY, now + 30 * DAY))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )

    def issue(
        self, directory: Path, file_name: str, host: str, validity: tuple[datetime, datetime]
    ) -> KeyPair:
        """Write a new key and a certificate for `host` into `directory`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(host)]
        if host == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        certificate = (
            _builder(_name(host), self.certificate.subject, key.public_key(), validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        return self._write_pair(directory / file_name, key, certificate)

    def _write_pair(
        self, stem: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> KeyPair:
        unencrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        keystore = pkcs12.serialize_key_and_certificates(
            stem.name.encode(),
            key,
            certificate,
            [self.certificate],
            serialization.BestAvailableEncryption(KEYSTORE_PASSWORD.encode()),
        )
        return KeyPair(
            certificate=_write(stem.with_suffix(".pem"), _pem(certificate)),
            key=_write(stem.with_suffix(".key"), unencrypted),
            keystore=_write(stem.with_suffix(".p12"), keystore),
        )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    validity: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    begin, end = validity
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
