"""A console, a folder to run in, the command line, and a monitor that listens."""

import contextlib
import http.server
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.sandbox import State
from tests.serving import serving
from tests.support import OWNER, STAGING, cli

ROOT = Path(__file__).parents[2]


class Bench:
    """A console, a folder to run in, and the command line."""

    def __init__(self, state: State, url: str, folder: Path) -> None:
        self.state, self.url, self.folder = state, url, folder
        self.env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}

    def run(self, *arguments: str, **env: str) -> Any:
        return cli(*arguments, env={**self.env, **env}, cwd=self.folder)

    def at_terminal(self, *arguments: str, **env: str) -> tuple[int, str]:
        """Run the command line with a terminal on standard error; return its exit code and what is shown there."""
        screen, terminal = os.openpty()
        environment = {**os.environ, **self.env, "HOME": str(self.folder), "TERM": "dumb", **env}
        process = subprocess.Popen(
            [sys.executable, "-m", "jitsu_backup", *arguments], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=terminal, env=environment,
        )  # fmt: skip
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # that is how a terminal ends
            while part := os.read(screen, 4096):
                shown += part
        os.close(screen)
        return process.wait(60), shown.decode()

    @property
    def archives(self) -> list[ArchiveName]:
        named = (parse_name(path.name) for path in (self.folder / "jitsu-backups").glob("*.json.gz*"))
        return sorted(
            (archive for archive in named if archive is not None), key=lambda archive: archive.sort_key
        )

    def an_hour_passes(self) -> None:
        """Make all archives older, by their names, which is all that a backup looks at."""
        folder = self.folder / "jitsu-backups"
        for archive in self.archives:
            older = replace(archive, taken_at=archive.taken_at - timedelta(hours=1))
            (folder / str(archive)).rename(folder / str(older))

    def forget(self, type_name: str, left: int) -> None:
        """Let somebody delete all but `left` objects of a type."""
        rows = list(self.state.live_objects(STAGING, type_name))
        for row in rows[left:]:
            row.deleted = True


@contextlib.contextmanager
def monitor(status: int = 200) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A monitor, its URL, and what it was told."""
    told: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            told.append((self.path, body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/ping/CANARY?create=1", told


def samples(path: Path) -> list[Sample]:
    """Every sample of a file of figures."""
    return [
        sample for family in text_string_to_metric_families(path.read_text()) for sample in family.samples
    ]
