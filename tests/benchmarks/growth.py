"""Time per entity and memory as a workspace grows, each job in a process of its own.

`python -m tests.benchmarks.growth JOB ARCHIVE URL FOLDER` does one job and prints the seconds of CPU that it took, for
those a busy machine and a slow disk do not change, and how many bytes the process had at the most beyond what it had
before the job. Those are the operating system's (Linux), for `tracemalloc` does not see what libraries in C hold.
"""

import gc
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import orjson

from jitsu_backup.archive import decode, digest, encode, to_tree
from jitsu_backup.catalogue import dangling_references
from jitsu_backup.cli import look_for_cycles_seldom
from jitsu_backup.model import Entity, Key, Snapshot, counts_by_type, masked_fields
from jitsu_backup.planning import PlanOptions, compare, make_plan
from jitsu_backup.sandbox import known_schemas
from jitsu_backup.store import write_tree
from tests.benchmarks.console import console
from tests.benchmarks.sockets import backed_up
from tests.benchmarks.table import Row, ratio
from tests.limited import generated
from tests.support import make_snapshot, run

JOBS = {"backup": 1, "verify": 1, "plan": 2, "diff": 2, "unpack": 1}
"""How many snapshots each holds: the JSON of all of them is what its memory is measured by."""


def grown(size: int) -> Snapshot:
    """Give a snapshot of at least `size` entities: one generated workspace again and again, under other ids."""
    base = generated(1000)
    ids = sorted({entity.key.id for entity in base.entities}, key=len, reverse=True)
    any_id = re.compile("|".join(map(re.escape, ids)))
    text = orjson.dumps(
        {"entities": [(e.key.type, e.body) for e in base.entities], "cursors": base.cursors}
    ).decode()
    entities: list[Entity] = []
    cursors: dict[str, Any] = {}
    while len(entities) < size:
        number = len(entities)
        found = orjson.loads(any_id.sub(lambda match: f"{match[0]}-{number}", text))
        entities += [Entity(Key(name, body["id"]), body) for name, body in found["entities"]]
        cursors |= found["cursors"]
    ordered = tuple(sorted(entities, key=lambda entity: entity.key))
    counts = counts_by_type(ordered, base.manifest.counts)
    manifest = replace(base.manifest, counts=counts, ledger=masked_fields(ordered))
    return replace(base, manifest=manifest, entities=ordered, cursors=cursors)


def do(job: str, archive: Path, url: str, folder: Path) -> None:
    """Do what the command does, without its imports, arguments and output."""
    if job == "backup":
        run(backed_up(url))
        return
    snapshot = decode(archive.read_bytes())
    if job == "verify":
        digest(snapshot)
        dangling_references(snapshot)
    elif job == "unpack":
        write_tree(folder / "tree", to_tree(snapshot))
        write_tree(folder / "tree", to_tree(snapshot))  # as every night: nothing has changed
    else:
        live = decode(archive.read_bytes())
        # every tenth is not there, and has to be made
        live = replace(live, entities=tuple(e for at, e in enumerate(live.entities) if at % 10))
        if job == "plan":
            make_plan(snapshot, live, PlanOptions(schemas=known_schemas(), allow_missing_secrets=True))
        else:
            compare(snapshot, live, known_schemas())


def growth(folder: Path, *, full: bool) -> Iterator[Row]:
    """Compare each size with the smallest."""
    sizes = (1000, 10_000, 50_000) if full else (1000, 10_000)
    found: dict[tuple[str, int], tuple[float, float, float]] = {}
    memory_disk = Path("/dev/shm")  # noqa: S108  where there is one: thousands of files reach a real disk slowly
    base = memory_disk if os.access(memory_disk, os.W_OK) else folder
    with console() as served, tempfile.TemporaryDirectory(dir=base) as made:
        quick = Path(made)
        for size in sizes:
            archive = folder / f"{size}.json.gz"
            snapshot = grown(size)
            archive.write_bytes(encode(snapshot))
            weight = len(gzip.decompress(archive.read_bytes()))
            served.begin(archive=str(archive), latency=0.0)
            for job, documents in JOBS.items():
                times, peaks = zip(
                    *(
                        _child(job, archive, served.url, quick / f"{size}-{job}-{number}")
                        for number in range(3 if size <= 10_000 else 1)
                    ),
                    strict=True,
                )
                memory = statistics.median(peaks) / documents
                found[job, size] = (
                    statistics.median(times) / len(snapshot.entities) * 1e6, memory / 1e6, weight / 1e6,
                )  # fmt: skip
    for job in JOBS:
        small = found[job, sizes[0]]
        for size in sizes[1:]:
            big = found[job, size]
            yield ratio(f"{job}, {size:,}: time an entity", big[0], small[0], "µs", f"{sizes[0]:,}", 1.3)
            yield ratio(f"{job}, {size:,}: peak memory", big[1], big[2], "MB", "JSON", 8)
    # what nobody has, and an archive or a console may hold all the same
    for what, job, few, many in (
        ("plan, 2,000 edited syncs of one pair: time a sync", _plan_edited_syncs, 250, 2000),
        ("decode, 8,000 types: time a type", _decode_types, 1000, 8000),
    ):
        small, big = (statistics.median(job(size) for _ in range(3)) / size * 1e6 for size in (few, many))
        yield ratio(what, big, small, "µs", f"{few:,}", 1.3)


def _plan_edited_syncs(size: int) -> float:
    def side(workspace: str, shift: int) -> Snapshot:
        link = {"fromId": "s", "toId": "d", "type": "sync"}
        return make_snapshot(
            {
                "service": [{"id": "s", "name": "s", "package": "p", "version": "1", "credentials": {}}],
                "destination": [{"id": "d", "name": "d", "destinationType": "clickhouse"}],
                "link": [
                    {**link, "id": f"{workspace}-{at}", "data": {"streams": {f"t{at}": {"at": at + shift}}}}
                    for at in range(size)
                ],
            },
            workspace_id=workspace,
        )

    staging, production = side("one", 0), side("two", 3)
    began = time.process_time()
    make_plan(staging, production, PlanOptions())
    return time.process_time() - began


def _decode_types(size: int) -> float:
    archive = encode(make_snapshot({f"type{at}": [{"id": f"x{at}", "name": "x"}] for at in range(size)}))
    began = time.process_time()
    decode(archive)
    return time.process_time() - began


def _child(job: str, archive: Path, url: str, folder: Path) -> tuple[float, float]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.benchmarks.growth", job, str(archive), url, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout)
    return float(seconds), float(peak)


def main() -> None:
    job, archive, url, folder = sys.argv[1:]
    look_for_cycles_seldom()  # as every command does
    known_schemas()
    jsonschema.Draft202012Validator({}).is_valid({})
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest mark, which is of the imports
    before, began = _status("VmRSS"), time.process_time()
    do(job, Path(archive), url, Path(folder))
    taken = time.process_time() - began
    print(json.dumps([taken, _status("VmHWM") - before]))


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
