"""A bucket on loopback with the part of the APIs of Google Cloud Storage and Azure Blob Storage that we use.

It shows that our requests follow these APIs, not that the services behave like this. For S3 there is an independent
server.
"""

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.serving import serving

PAGE = 15
"""Names per page of a list: few, so that there are several pages."""

_TIME = "Mon, 23 Nov 2026 19:00:00 GMT"


def _blob(url: str) -> str:
    return unquote(urlsplit(url).path).lstrip("/").partition("/")[2]


class BucketServer(ThreadingHTTPServer):
    """Holds blobs by name; `kind` is gs or az."""

    daemon_threads = True

    def __init__(self, kind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kind, self.blobs, self.lock = kind, dict[str, bytes](), threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that direct a client here."""
        url = f"http://127.0.0.1:{self.server_port}"
        if self.kind == "az":
            key = b64encode(b"CANARY-az").decode()
            return {
                "AZURE_STORAGE_ACCOUNT_NAME": "acct", "AZURE_STORAGE_ACCOUNT_KEY": key, "AZURE_STORAGE_ENDPOINT": url,
            }  # fmt: skip
        account = {
            "gcs_base_url": url,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        return {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account)}


class _Handler(BaseHTTPRequestHandler):
    server: BucketServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    @property
    def name(self) -> str:
        """The name of the blob, without that of the bucket."""
        return _blob(self.path)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        new = (
            self.headers.get("x-goog-if-generation-match") == "0" or self.headers.get("if-none-match") == "*"
        )
        with self.server.lock:
            if new and self.name in self.server.blobs:
                code = "BlobAlreadyExists" if self.server.kind == "az" else "PreconditionFailed"
                self._answer(
                    409 if self.server.kind == "az" else 412, f"<Error><Code>{code}</Code></Error>".encode()
                )
                return
            source = self.headers.get("x-goog-copy-source") or self.headers.get("x-ms-copy-source")
            if source is not None:  # a copy inside the bucket
                found = self.server.blobs.get(_blob(source))
                if found is None:
                    self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                    return
                data = found
            self.server.blobs[self.name] = data
        self._answer(201 if self.server.kind == "az" else 200, b"")

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "prefix" in query or query.get("comp") == ["list"]:
            self._answer(200, self._list(query).encode())
        elif self.name in self.server.blobs:
            self._answer(200, self.server.blobs[self.name])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        gone = self.server.blobs.pop(self.name, None) is None
        self._answer(404 if gone else 202 if self.server.kind == "az" else 204, b"")

    def do_POST(self) -> None:
        """Azure deletes in batches: one HTTP request a blob, packed into one body."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        parts = []
        for number, path in enumerate(re.findall(r"^DELETE (\S+) HTTP", body, re.MULTILINE)):
            name = unquote(urlsplit(path).path).lstrip("/").partition("/")[2]
            gone = self.server.blobs.pop(name, None) is None
            status = "404 Not Found" if gone else "202 Accepted"
            parts.append(
                f"--batch\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
                f"HTTP/1.1 {status}\r\nx-ms-version: 2023-11-03\r\n\r\n\r\n"
            )
        self._answer(202, ("".join(parts) + "--batch--\r\n").encode(), "multipart/mixed; boundary=batch")

    def _list(self, query: dict[str, list[str]]) -> str:
        prefix = query.get("prefix", [""])[0]
        names = sorted(name for name in self.server.blobs if name.startswith(prefix))
        after = query.get("marker", query.get("continuation-token", [""]))[0]
        rest = [name for name in names if name > after]
        page, more = rest[:PAGE], rest[PAGE - 1] if len(rest) > PAGE else ""
        if self.server.kind == "az":
            blobs = "".join(
                f"<Blob><Name>{escape(n)}</Name><Properties><Last-Modified>{_TIME}</Last-Modified>"
                f"<Content-Length>{len(self.server.blobs[n])}</Content-Length>"
                "<Content-Type>x</Content-Type><Etag>1</Etag></Properties></Blob>"
                for n in page
            )
            return f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{escape(more)}</NextMarker></EnumerationResults>"
        contents = "".join(
            f"<Contents><Key>{escape(n)}</Key><LastModified>2026-11-23T19:00:00Z</LastModified><ETag>1</ETag>"
            f"<Size>{len(self.server.blobs[n])}</Size></Contents>"
            for n in page
        )
        token = f"<NextContinuationToken>{escape(more)}</NextContinuationToken>" if more else ""
        return f"<ListBucketResult>{contents}{token}</ListBucketResult>"

    def _answer(self, status: int, body: bytes, content_type: str = "application/xml") -> None:
        self.send_response(status)
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "ETag": '"1"',
            "Last-Modified": _TIME,
            "x-goog-generation": "1",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def bucket_server(kind: str) -> Iterator[BucketServer]:
    """Serve an empty bucket while the context lasts."""
    server = BucketServer(kind)
    with serving(server):
        yield server
