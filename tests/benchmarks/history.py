"""`history` of thousands of archives, the first time and the next one, beside reading the same archives bare.

Times are of CPU, because those a busy machine does not change; the store is a folder on this machine.
`python -m tests.benchmarks.history bare FOLDER` reads them: it unzips them and parses the JSON.
"""

import gzip
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from jitsu_backup.archive import archive_name, encode
from jitsu_backup.model import Entity, Snapshot
from tests.benchmarks.table import Row, count, ratio
from tests.limited import generated

ENTITIES, FULL, QUICK = 100, 5000, 1000
COLD_SECONDS, WARM_SECONDS, MEGABYTES = 20.0, 2.0, 300.0
"""The bounds for FULL archives; of fewer, the first time has to be faster in proportion, but for the start of the command."""

_START_SECONDS = 1.0

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def history(folder: Path, *, full: bool) -> Iterator[Row]:
    """An archive an hour, of which four in five show a change or two."""
    number = FULL if full else QUICK
    store, cache = folder / "history", folder / "cache"
    fill(store, number)
    bare, _ = _run("-m", "tests.benchmarks.history", "bare", str(store))
    command = ("-m", "jitsu_backup", "--store", str(store), "history")
    (cold, peak), (warm, _) = (_run(*command, XDG_CACHE_HOME=str(cache)) for _ in range(2))
    in_proportion = COLD_SECONDS if full else COLD_SECONDS * number / FULL + _START_SECONDS
    what = f"history of {number:,} archives"
    yield count(f"{what}, cold: time", cold, in_proportion, "s")
    yield count(f"{what}, cold: peak memory", peak, MEGABYTES, "MB")
    yield count(f"{what}, warm: time", warm, WARM_SECONDS, "s")
    yield ratio(f"{what}, cold: beside reading", cold, bare, "s", "unzip and parse", None)
    yield ratio(f"{what}, warm: beside reading", warm, bare, "s", "unzip and parse", None)


def fill(store: Path, number: int) -> None:
    """Fill a store with archives of one workspace, hour by hour."""
    store.mkdir(exist_ok=True)
    dice, snapshot = random.Random(1), generated(ENTITIES)
    for hour in range(number):
        snapshot = replace(snapshot, taken_at=_BEGIN + timedelta(hours=hour))
        data = encode(snapshot)
        (store / str(archive_name(snapshot, size=len(data)))).write_bytes(data)
        if dice.random() < 0.8:
            snapshot = _changed(snapshot, dice, hour)


def _changed(snapshot: Snapshot, dice: random.Random, hour: int) -> Snapshot:
    entities = list(snapshot.entities)
    for at in dice.sample(range(len(entities)), dice.choice([1, 1, 2])):
        key, body = entities[at].key, dict(entities[at].body)
        match key.type:
            case "function":
                body["code"] = f"{str(body.get('code'))[:2000]}\n// {hour}"
            case "link":
                body["data"] = {**(body.get("data") or {}), "mode": f"batch-{hour}"}
            case _:
                body["name"] = f"{key.type} {hour}"
        entities[at] = Entity(key, body)
    return replace(snapshot, entities=tuple(entities))


def _run(*arguments: str, **environment: str) -> tuple[float, float]:
    """Run a command; return its seconds of CPU, and its peak memory in MB."""
    with Path(os.devnull).open("wb") as nowhere:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=nowhere, env={**os.environ, **environment}
        )
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    assert process.returncode == 0, arguments
    return usage.ru_utime + usage.ru_stime, _megabytes(usage)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (1_000_000 if sys.platform == "darwin" else 1000)


def main() -> None:
    _, folder = sys.argv[1:]
    for path in sorted(Path(folder).iterdir()):
        orjson.loads(gzip.decompress(path.read_bytes()))


if __name__ == "__main__":
    main()
