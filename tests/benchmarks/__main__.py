"""`python -m tests.benchmarks [--full] [--only NAME]... [--json FILE]`; ends with 1 where a bound is broken."""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console

from jitsu_backup import __version__
from tests.benchmarks.budgets import asked, everything, limited, watching
from tests.benchmarks.growth import growth
from tests.benchmarks.history import history
from tests.benchmarks.operators import operators
from tests.benchmarks.page import page
from tests.benchmarks.sockets import backup, restores
from tests.benchmarks.start import start
from tests.benchmarks.table import Row, document, table

MEASURES: dict[str, Callable[..., Iterator[Row]]] = {
    "backup": backup,
    "restore": restores,
    "limited": limited,
    "growth": growth,
    "start": start,
    "all": everything,
    "operator": operators,
    "history": history,
    "page": page,
    "asked": asked,
    "watch": watching,
}


def measure(names: tuple[str, ...], *, full: bool) -> list[Row]:
    """Measure what is named, one after the other: side by side they would disturb each other."""
    rows: list[Row] = []
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder  # nobody's own settings
        os.environ["PYTHONPATH"] = str(here)
        for name in names or tuple(MEASURES):
            began = time.perf_counter()
            rows += MEASURES[name](Path(folder), full=full)
            print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


@click.command()
@click.option(
    "--full/--quick", default=False, help="50,000 entities and more rounds; quick: under 2 minutes."
)
@click.option("--only", multiple=True, type=click.Choice(list(MEASURES)), help="Repeatable.")
@click.option("--json", "json_out", type=click.Path(path_type=Path), help="Write the rows to FILE too.")
def main(full: bool, only: tuple[str, ...], json_out: Path | None) -> None:
    """Measure how fast jitsu-backup is, beside a bare loop and the floor."""
    rows = measure(only, full=full)
    Console(width=max(140, Console().width)).print(table(rows))
    if json_out is not None:
        facts: dict[str, Any] = {
            "version": __version__, "python": platform.python_version(), "cores": os.cpu_count(), "full": full,
        }  # fmt: skip
        json_out.write_bytes(orjson.dumps(document(rows, **facts), option=orjson.OPT_INDENT_2) + b"\n")
    sys.exit(not all(row.ok for row in rows))


if __name__ == "__main__":
    main()
