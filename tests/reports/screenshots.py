"""Take pictures of the sample pages, to look at: `python -m tests.reports.screenshots FOLDER [NAME]...`.

`python -m tests.reports.screenshots docs` makes those that the documentation shows.
"""

import os
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from jitsu_backup.reports import changes_view
from tests.reports.browser import browser
from tests.reports.histories import history_pages
from tests.reports.samples import changes, pages
from tests.support import recorded_snapshot

SIZES = {"phone": (390, 844), "laptop": (1366, 768), "wide": (1920, 1080)}
DOCS = {
    "report-diff.png": ("diff", "laptop", "light", 900),
    "report-large.png": ("large", "laptop", "dark", 768),
    "report-phone.png": ("restore", "phone", "light", 844),
    "history-page.png": ("history", "laptop", "light", 1150),
    "history-phone.png": ("history", "phone", "dark", 844),
}


BACK = 21
"""How many changes ago the pictures of a history are of."""


def take(folder: Path, wanted: set[str]) -> None:
    """Take every size and both schemes of the wanted samples."""
    found = {**pages(), **history_pages()}
    with browser() as running:
        for scheme in ("light", "dark"):
            for size, (width, height) in SIZES.items():
                context = running.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                page = context.new_page()
                for name, text in found.items():
                    if wanted and name not in wanted:
                        continue
                    path = folder / f"{name}.html"
                    path.write_text(text, encoding="utf-8")
                    page.goto(path.resolve().as_uri())
                    page.screenshot(path=folder / f"{name}-{size}-{scheme}.png")
                context.close()


def for_docs(folder: Path) -> None:
    """Take those that the documentation shows."""
    found = {**pages(), **history_pages()}
    with browser() as running:
        for name, (sample, size, scheme, height) in DOCS.items():
            context = running.new_context(
                viewport={"width": SIZES[size][0], "height": height}, color_scheme=scheme
            )
            page = context.new_page()
            page.set_content(found[sample])
            for _ in range(BACK if sample == "history" else 0):
                page.keyboard.press("ArrowLeft")
            page.screenshot(path=folder / name)
            context.close()
        page = running.new_page(viewport={"width": 700, "height": 100}, device_scale_factor=1.5)
        page.set_content(terminal())
        page.screenshot(path=folder / "terminal-diff.png", full_page=True)


def terminal() -> str:
    """What `jitsu-backup diff` prints on a terminal of 80 columns, as a page."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  a device
        screen = Console(record=True, width=80, force_terminal=True, file=nowhere)
        screen.print("[bold]$ jitsu-backup diff latest[/bold]", highlight=False)
        screen.print(changes_view(changes(recorded_snapshot())))
    style = "body { background: #111; color: #ddd; margin: 1rem; } pre { font: 13px/1.35 monospace }"
    return f"<style>{style}</style>" + screen.export_html(
        theme=SVG_EXPORT_THEME, inline_styles=True, code_format="<pre>{code}</pre>"
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for_docs(target) if target.name == "docs" else take(target, set(sys.argv[2:]))
