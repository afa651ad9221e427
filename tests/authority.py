"""A certificate authority of the tests' own."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PEM = serialization.Encoding.PEM


class Authority:
    """Signs certificates; `file` is its own, for SSL_CERT_FILE."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "calsyncd test authority")])
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._sign(self.name, self.key, "authority", days=9).public_bytes(_PEM))

    def context(self, host: str, *, days: int = 9, self_signed: bool = False) -> ssl.SSLContext:
        """The server's side for a host; its certificate ends in so many days."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pair(host, days=days, self_signed=self_signed))
        return context

    def pair(self, host: str, *, days: int = 9, self_signed: bool = False) -> Path:
        """A file with a key and the certificate for a host."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        certificate = self._sign(subject, key, host, days=days, own=self_signed)
        path = self.folder / f"{host}-{days}-{self_signed}.pem"
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(private + certificate.public_bytes(_PEM))
        return path

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, host: str, *, days: int, own: bool = False
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        is_authority = host == "authority"
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if own else self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=20))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        return builder.sign(key if own else self.key, hashes.SHA256())
