"""A backup and a prune killed at every operation on their store: only whole archives are listed, the next run mends.

Real processes, a real folder, real requests. `python -m pytest -s tests/store/test_kills.py` prints how many points.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import archive_name, check_name, decode, encode
from jitsu_backup.model import Snapshot
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.store import archives, keep, open_store
from jitsu_backup.store.control import MARKER
from jitsu_backup.store.files import TEMPORARY
from tests import every
from tests.s3_server import BUCKET, S3Server, s3_server
from tests.support import OWNER, STAGING, console_of, example_sandbox, read, run
from tests.zygote import Zygote, zygote

BACKUP = ["-q", "backup", "acme-staging"]
PRUNE = ["-q", "prune", "--keep-last", "2"]
OLD = 5


@pytest.fixture(scope="module")
def processes() -> Iterator[Zygote]:
    with zygote() as made:
        yield made


@pytest.fixture(scope="module")
def console() -> Iterator[dict[str, str]]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        yield {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    found: Snapshot = run(read(console_of(example_sandbox()), "acme-staging"))
    return found


def fill(url: str, snapshot: Snapshot, environment: dict[str, str]) -> None:
    """Put OLD archives into a store, an hour apart."""
    store = open_store(url, environment)
    for hours in range(1, OLD + 1):
        taken_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours)
        older = Snapshot(
            snapshot.manifest, taken_at, snapshot.entities, snapshot.cursors, snapshot.workspace,
            snapshot.members, snapshot.options,
        )  # fmt: skip
        run(keep(store, archive_name(older), encode(older)))


def whole(url: str, environment: dict[str, str]) -> int:
    """Count the archives of a store; each must be what its name says."""
    store = open_store(url, environment)
    found = run(archives(store))
    for archive in found:
        check_name(archive, decode(run(store.read(str(archive)))))
    return len(found)


def finish(
    processes: Zygote, arguments: list[str], environment: dict[str, str], folder: Path, kill: Any = None
) -> int:
    processes.start(arguments, environment, folder, kill)
    return processes.answer()


@pytest.mark.parametrize(
    ("arguments", "begin", "end"), [(BACKUP, 0, 1), (PRUNE, OLD, 2)], ids=["backup", "prune"]
)
def test_killed_at_every_file_operation_a_folder_has_only_whole_archives_and_the_next_run_mends(
    arguments: list[str], begin: int, end: int, processes: Zygote, console: dict[str, str], snapshot: Snapshot,
    tmp_path: Path,
) -> None:  # fmt: skip
    def prepare(folder: Path) -> str:
        folder.mkdir()
        if begin:
            fill(str(folder / "jitsu-backups"), snapshot, {})
        return str(folder / "jitsu-backups")

    count = tmp_path / "count"
    prepare(count)
    assert finish(processes, arguments, console, count, (0, "after")) == 0
    calls = int((count / "calls").read_text())
    points = [(number, when) for number in range(1, calls + 1) for when in ("before", "in", "after")]
    points = points[:: every(4)]  # before, in and after in turn
    lost_in_the_middle = 0
    for number, when in points:
        folder = tmp_path / f"{number}-{when}"
        store = prepare(folder)
        assert finish(processes, arguments, console, folder, (number, when)) == signal.SIGKILL
        assert end <= whole(store, {}) <= max(begin, 1) if begin else whole(store, {}) <= 1
        with suppress(FileNotFoundError):
            lost_in_the_middle += any(path.name.startswith(TEMPORARY) for path in Path(store).iterdir())
        assert finish(processes, arguments, console, folder) == 0, (folder / "log").read_text()
        left = [path.name for path in Path(store).iterdir() if path.name != MARKER]
        assert not [name for name in left if name.startswith(TEMPORARY)]
        assert (
            end <= whole(store, {}) == len(left) <= end + (begin == 0)
        )  # a backup that was killed may have been done
        shutil.rmtree(folder)
    print(
        f"{arguments[1]}: killed at {len(points)} points of {calls} file operations, {lost_in_the_middle} left something"
    )
    assert begin or lost_in_the_middle


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.mark.parametrize(
    ("arguments", "begin", "end"),
    [([*BACKUP, "--new-store"], 0, 1), (PRUNE, OLD, 2)],
    ids=["backup", "prune"],
)
def test_killed_at_every_request_a_bucket_has_only_whole_archives_and_the_next_run_mends(
    arguments: list[str], begin: int, end: int, processes: Zygote, console: dict[str, str], snapshot: Snapshot,
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    environment = {**console, **s3.environment}

    def prepare(name: str) -> str:
        s3.befall = lambda _number, _method: None
        url = f"s3://{BUCKET}/{arguments[1]}/{name}"
        if begin:
            fill(url, snapshot, s3.environment)
        s3.number = 0
        return url

    url = prepare("count")
    assert finish(processes, ["--store", url, *arguments], environment, tmp_path) == 0, (
        tmp_path / "log"
    ).read_text()
    requests = s3.number
    points = [(number, when) for number in range(1, requests + 1) for when in ("before", "after")]
    points = points[:: every(3)]  # before and after in turn
    for number, when in points:
        url = prepare(f"{number}-{when}")
        process = [0]

        def kill(
            environ: Any, start_response: Any, real: Any, when: str = when, process: list[int] = process
        ) -> Any:
            answer = list(real(environ, start_response)) if when == "after" else []
            os.kill(process[0], signal.SIGKILL)
            if when == "before":
                start_response("500 No", [])
            return answer

        s3.befall = lambda count, _method, number=number, kill=kill: kill if count == number else None  # type: ignore[misc]
        process[0] = processes.start(["--store", url, *arguments], environment, tmp_path)
        assert processes.answer() == signal.SIGKILL
        s3.befall = lambda _number, _method: None
        assert end <= whole(url, s3.environment) <= begin if begin else whole(url, s3.environment) <= 1
        assert finish(processes, ["--store", url, *arguments], environment, tmp_path) == 0
        assert end <= whole(url, s3.environment) <= end + (begin == 0)
    print(f"{arguments[1]}: killed at {len(points)} points of {requests} requests")
