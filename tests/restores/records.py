"""Records of clones for tests, and a working folder with the command line that makes them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.model import CloneRecord, Key, Snapshot, Source
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.clone_record import keep_record
from jitsu_backup.sandbox import Sandbox
from jitsu_backup.store import FolderStore
from tests.restores.kit import write_overlay
from tests.support import MOMENT, OWNER, PRODUCTION, STAGING, cli, make_snapshot, run

HOST = "http://console.example"
FROM = Source(HOST, STAGING, "acme-staging")
INTO = Source(HOST, PRODUCTION, "acme-production")
LATER = MOMENT + timedelta(days=1)
NO_KEYS = ArchiveKeys()


def record(text: str = "", source: Source = FROM, target: Source = INTO, minutes: int = 0) -> Snapshot:
    made = make_snapshot(
        {"stream": [{"id": "s1", "name": text}]},
        host=target.host, workspace_id=target.workspace_id, slug=target.slug or "",
        cloned=CloneRecord(source, {Key("stream", "s0"): "s1"}),
    )  # fmt: skip
    return replace(made, taken_at=MOMENT + timedelta(minutes=minutes))


def kept(store: FolderStore, *made: Snapshot, keys: ArchiveKeys = NO_KEYS) -> list[ArchiveName]:
    return [run(keep_record(store, keys, one, now=LATER)) for one in made]


class Machine:
    """A working folder with an overlay, and the command line."""

    def __init__(self, folder: Path, url: str, sandbox: Sandbox, before: Snapshot) -> None:
        self.folder, self.sandbox, self.url = folder, sandbox, url
        self.env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        write_overlay(before, folder / "o.json")

    def __call__(self, *arguments: str, code: int = 0, **env: str) -> str:
        done = cli(*arguments, env={**self.env, **env}, cwd=self.folder)
        assert done.returncode == code, done.stdout + done.stderr
        return str(done.stdout + done.stderr)

    def clone(self, *more: str, code: int = 0, **env: str) -> str:
        """Clone staging into production, without domains, which only one of them can have."""
        self.sandbox.requests.clear()
        flags = ("--overlay", "o.json", "--skip", "domain", "--keys-out", "keys.json", "--yes")
        return self("clone", "acme-staging", "acme-production", *flags, *more, code=code, **env)

    @property
    def left(self) -> list[ArchiveName]:
        """What runs left by themselves, for `undo`."""
        names = (parse_name(path.name) for path in (self.folder / "jitsu-backups").glob("*.json.gz*"))
        return [name for name in names if name is not None and name.left_after]

    @property
    def records(self) -> list[ArchiveName]:
        names = (parse_name(path.name) for path in (self.folder / "jitsu-backups").glob("*.json.gz*"))
        return sorted(
            (name for name in names if name is not None and name.cloned_from and not name.left_after),
            key=lambda name: name.sort_key,
        )
