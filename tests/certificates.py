"""Certificates for tests, each wrong in one way, and a TLS server on loopback that presents one."""

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.serving import serving

Issuer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def make(
    path: Path, issuer: Issuer | None = None, *, host: str = "127.0.0.1", since: int = -1, until: int = 365
) -> Issuer:
    """Write certificate and key to `path`, valid between two days from now; without an issuer, it is that of a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.stem)])
    now = datetime.now(UTC)
    address: x509.GeneralName = (
        x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    )
    builder = (
        x509.CertificateBuilder(
            issuer[0].subject if issuer else name, name, key.public_key(), x509.random_serial_number(),
            now + timedelta(days=since), now + timedelta(days=until),
        )
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
    )  # fmt: skip
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return certificate, key


def make_all(folder: Path) -> Path:
    """Write `ca.pem`, and beside it a certificate for each possible fault; return the path of the CA's."""
    ca, stranger = make(folder / "ca.pem"), make(folder / "stranger.pem")
    make(folder / "good.pem", ca)
    make(folder / "expired.pem", ca, since=-9, until=-2)
    make(folder / "future.pem", ca, since=5)
    make(folder / "name.pem", ca, host="other.example")
    make(folder / "issuer.pem", stranger)
    make(folder / "self.pem")
    return folder / "ca.pem"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "2")
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815  the library's name

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def tls_server(certificate: Path) -> Iterator[str]:
    """Answer 404 with a certificate while the context lasts; yield the URL."""
    server = _Server(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server):
        yield f"https://127.0.0.1:{server.server_port}"
