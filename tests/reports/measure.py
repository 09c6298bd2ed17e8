"""How long a page of 300 entities takes to make, to load, to search and to step through: `python -m tests.reports.measure`."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from jitsu_backup.archive import digest
from jitsu_backup.reports.history_page import history_page
from jitsu_backup.reports.html import changes_page, snapshot_page
from tests.reports.browser import browser
from tests.reports.histories import command, five_hundred
from tests.reports.samples import changes, three_hundred

ROUNDS = 5
_SEARCH = """(text) => {
  const query = document.getElementById('query');
  const begun = performance.now();
  query.value = text;
  query.dispatchEvent(new Event('input'));
  document.body.offsetHeight;
  return performance.now() - begun;
}"""
_STEP = """() => {
  const begun = performance.now();
  document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true }));
  document.body.offsetHeight;
  return performance.now() - begun;
}"""
_READY = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
_LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


def main() -> None:
    """Print medians in milliseconds, and sizes."""
    snapshot, changed = three_hundred(), changes(three_hundred())
    makers = {
        "snapshot": lambda: snapshot_page(snapshot, digest(snapshot)),
        "diff": lambda: changes_page(changed),
    }
    with browser() as running, tempfile.TemporaryDirectory() as folder:
        for name, make in makers.items():
            make()
            begun = time.perf_counter()
            text = make()
            making = (time.perf_counter() - begun) * 1000
            path = Path(folder) / f"{name}.html"
            path.write_text(text, encoding="utf-8")
            loads, first, later = [], [], []
            for _ in range(ROUNDS):
                page = running.new_page()
                page.goto(path.as_uri())
                loads.append(page.evaluate(_LOADED))
                first.append(page.evaluate(_SEARCH, "billing"))
                later += [
                    page.evaluate(_SEARCH, query)
                    for query in ("billing nordics", "step_3", "no such thing", "")
                ]
                page.close()
            middle = [statistics.median(times) for times in (loads, first, later)]
            print(
                f"{name}: {len(text.encode()):,} bytes, made in {making:.0f} ms, loaded in {middle[0]:.0f} ms,"
                f" first search {middle[1]:.1f} ms, later ones {middle[2]:.1f} ms (worst {max(later):.1f} ms)"
            )


def interactive(running: Any, path: Path) -> tuple[float, float, list[float]]:
    """Until the page of a history has answered a first key, in seconds; the main thread's part; then steps, in ms.

    What else runs on the machine lengthens the first and not the second.
    """
    page = running.new_page()
    told = page.context.new_cdp_session(page)
    told.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
    told.send("Performance.enable")
    page.goto(path.as_uri())
    ready = page.evaluate(_READY)
    first, *steps = [page.evaluate(_STEP) for _ in range(20)]
    metrics = {one["name"]: one["value"] for one in told.send("Performance.getMetrics")["metrics"]}
    page.close()
    return (ready + first) / 1000, metrics["ThreadTime"], steps


def history() -> None:
    """Print the same of the page of a history."""
    found = five_hundred()
    begun = time.perf_counter()
    text = history_page(found, command)
    making = (time.perf_counter() - begun) * 1000
    with browser() as running, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.html"
        path.write_text(text, encoding="utf-8")
        ready, thread, steps = zip(*(interactive(running, path) for _ in range(ROUNDS)), strict=True)
    all_steps = [step for few in steps for step in few]
    print(
        f"history: {len(text.encode()):,} bytes, made in {making:.0f} ms, interactive in {statistics.median(ready) * 1000:.0f} ms"
        f" (main thread, with 20 steps, {statistics.median(thread) * 1000:.0f} ms), a step {statistics.median(all_steps):.1f} ms"
        f" (worst {max(all_steps):.1f} ms)"
    )


if __name__ == "__main__":
    main()
    history()
