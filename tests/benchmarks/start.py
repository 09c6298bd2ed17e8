"""How long the command line takes to begin, beside `import click`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jitsu_backup.archive import ArchiveName
from tests.benchmarks.table import Row, alternating, ratio


def _tab(line: str) -> tuple[tuple[str, ...], dict[str, str]]:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    return (), {"_JITSU_BACKUP_COMPLETE": "bash_complete", **words}


COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "--version": (("--version",), {}),
    "--help": (("--help",), {}),
    "completion bash": (("completion", "bash"), {}),
    "restore --help": (("restore", "--help"), {}),
    "Tab behind a command's beginning": _tab("jitsu-backup re"),
    "Tab behind `restore --`": _tab("jitsu-backup restore --"),
    "Tab behind `restore `, of 50 archives": _tab("jitsu-backup restore "),
}


def start(folder: Path, *, full: bool) -> Iterator[Row]:
    """Each in a process of its own, in turn, where there are settings and a store.

    Ours is compiled before, as click is by whoever installs it.
    """
    _fill(folder)

    def timed(*arguments: str, env: dict[str, str] | None = None) -> Callable[[], float]:
        def job() -> float:
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, *arguments],
                env={**os.environ, "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "", **(env or {})},
                cwd=folder, check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            return time.perf_counter() - began

        return job

    jobs = [timed("-m", "jitsu_backup", *arguments, env=env) for arguments, env in COMMANDS.values()]
    floor, *found = alternating(41 if full else 15, timed("-c", "import click"), *jobs)
    for name, took in zip(COMMANDS, found, strict=True):
        yield ratio(f"start: {name}", took * 1000, floor * 1000, "ms", "import click", 1.5)


def _fill(folder: Path) -> None:
    (folder / "jitsu-backup.toml").write_text('[profiles.staging]\nworkspace = "acme-staging"\n')
    store = folder / "jitsu-backups"
    store.mkdir(exist_ok=True)
    for day in range(50):  # as many as the policy of the README keeps
        taken_at = datetime(2026, 7, 1, tzinfo=UTC) + timedelta(days=day)
        (store / str(ArchiveName("acme-staging", "w1", taken_at, f"{day:012x}"))).write_bytes(b"whatever")
