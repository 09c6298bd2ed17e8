"""Just as much of GitLab as `gitlab_review.py` asks for."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.serving import serving

TOKEN, PROJECT, BOT = "glpat-of-the-project", "17", 99


class GitLab(ThreadingHTTPServer):
    """A project: its notes, the merge requests that became a commit, the pipelines of those, the jobs of these, artifacts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Api)
        self.notes: list[dict[str, Any]] = []
        self.merged: dict[str, list[dict[str, Any]]] = {}
        self.pipelines: list[dict[str, Any]] = []
        self.jobs: dict[int, list[dict[str, Any]]] = {}
        self.artifacts: dict[int, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api/v4"


class _Api(BaseHTTPRequestHandler):
    server: GitLab

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        hub = self.server
        match self._path():
            case ["user"]:
                self._answer({"id": BOT})
            case ["repository", "commits", commit, "merge_requests"]:
                self._answer(hub.merged.get(commit, []))
            case ["merge_requests", _, "pipelines"]:
                self._answer(hub.pipelines)
            case ["merge_requests", _, "notes"]:
                self._answer(hub.notes)
            case ["pipelines", number, "jobs"]:
                self._answer(hub.jobs[int(number)])
            case ["jobs", number, "artifacts"]:
                if int(number) in hub.artifacts:
                    self._send(hub.artifacts[int(number)])
                else:
                    self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        assert self._path()[-1] == "notes"
        note = {"id": len(self.server.notes) + 1, "author": {"id": BOT}, **self._body()}
        self.server.notes.append(note)
        self._answer(note)

    def do_PUT(self) -> None:
        number = int(self._path()[-1])
        (note,) = [note for note in self.server.notes if note["id"] == number]
        note |= self._body()
        self._answer(note)

    def _path(self) -> list[str]:
        assert self.headers["Private-Token"] == TOKEN
        path = self.path.partition("?")[0].removeprefix("/api/v4/")
        return path.removeprefix(f"projects/{PROJECT}/").split("/")

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, value: Any) -> None:
        self._send(json.dumps(value).encode())

    def _send(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def gitlab_server() -> Iterator[GitLab]:
    server = GitLab()
    with serving(server):
        yield server


def zipped(folder: Path) -> bytes:
    """Return a folder as GitLab keeps artifacts, with the folder's own name in every path."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{folder.name}/{path.name}")
    return held.getvalue()
