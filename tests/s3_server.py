"""An independent S3 server on loopback, moto's, with faults in front of it."""

import logging
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.serving import serving

BUCKET = "backups"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIACANARY", "AWS_SECRET_ACCESS_KEY": "CANARY-s3-secret", "AWS_REGION": "us-east-1",
}  # fmt: skip

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any, **__: Any) -> None:
        pass


class _Atomic:
    """A server that lets one conditional write in at a time, as S3 does: moto looks first and writes later."""

    def __init__(self, app: Wsgi) -> None:
        self.app, self.lock = app, threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self.lock if {"HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"} & environ.keys() else nullcontext():
            return self.app(environ, start_response)


class S3Server:
    """A bucket named BUCKET. `befall(number, method)` may give `(status, code)` to answer with, or a callable
    that takes the place of the real answer: it is given `(environ, start_response, real)`.
    """

    def __init__(self) -> None:
        self.app: Wsgi = _Atomic(DomainDispatcherApplication(create_backend_app))
        self.url = ""
        self.number = 0
        self.seen: list[tuple[str, str]] = []
        self.befall: Callable[[int, str], Any] = lambda _number, _method: None
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self.lock:
            self.number += 1
            number = self.number
            self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        fault = self.befall(number, environ["REQUEST_METHOD"])
        if fault is None:
            return self.app(environ, start_response)
        if callable(fault):
            answer: Iterable[bytes] = fault(environ, start_response, self.app)
            return answer
        status, code = fault
        start_response(f"{status} No", [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]

    def ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """Send a request without signature, which moto accepts."""
        headers = {"Content-Type": "application/octet-stream"}  # otherwise moto takes the data for a form
        request = urllib.request.Request(f"{self.url}/{path}", method=method, data=data, headers=headers)  # noqa: S310  our own
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310  our own server
            answer: bytes = response.read()
        return answer

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that direct a client here, with credentials."""
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.url}


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Serve, with an empty bucket, while the context lasts."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    made = S3Server()
    server = make_server("127.0.0.1", 0, made, threaded=True, request_handler=_Quiet)
    made.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        made.ask("POST", "moto-api/reset")
        made.ask("PUT", BUCKET)
        made.number, made.seen = 0, []
        yield made
