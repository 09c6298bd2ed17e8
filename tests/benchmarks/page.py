"""The page of a history of 500 snapshots of 300 entities: how large it is, and how soon it answers."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from jitsu_backup.reports.history_page import history_page
from tests.benchmarks.table import Row, count
from tests.reports.browser import browser, chromium
from tests.reports.histories import command, five_hundred
from tests.reports.measure import interactive


def page(folder: Path, *, full: bool) -> Iterator[Row]:
    """Its size, how long it takes to make, and, where there is a Chromium, until it has answered a first key."""
    history = five_hundred()
    begun = time.perf_counter()
    text = history_page(history, command)
    making = time.perf_counter() - begun
    yield count("page of 500 snapshots of 300 entities", len(text.encode()) / 1e6, 8, "MB")
    yield count("  made", making, 5, "s")
    if chromium() is None:
        return
    path = folder / "history.html"
    path.write_text(text, encoding="utf-8")
    with browser() as running:
        found = [interactive(running, path) for _ in range(11 if full else 5)]
    yield count("  interactive in Chromium", statistics.median(ready for ready, *_ in found), 1, "s")
