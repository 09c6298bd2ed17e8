"""How long a page of 300 entities takes to make, to load and to search: `python -m tests.reports.measure`."""

import statistics
import tempfile
import time
from pathlib import Path

from jitsu_backup.archive import digest
from jitsu_backup.reports.html import changes_page, snapshot_page
from tests.reports.browser import browser
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


if __name__ == "__main__":
    main()
