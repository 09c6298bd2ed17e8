"""What reports of a recovery look like on a terminal of 80 columns: `python -m tests.recovery.golden --write` writes them anew."""

import io
import sys
from functools import cache
from pathlib import Path

import rich.console

from jitsu_backup.reports.recovery import plan_summary, run_summary
from jitsu_backup.reports.recovery_values import RecoverySummary
from jitsu_backup.reports.recovery_view import recovery_view
from tests.recovery.samples import ended, many, planned

FOLDER = Path(__file__).parents[2] / "fixtures"


def shown(summary: RecoverySummary, *, verbose: bool = False) -> str:
    """Return a report as a terminal of 80 columns shows it, without the blanks at the ends of lines."""
    screen = rich.console.Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    screen.print(recovery_view(summary, verbose=verbose))
    text: str = screen.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.split("\n"))


@cache
def goldens() -> dict[str, str]:
    """Return each report, by the name of its file."""
    run = ended()
    assert run.run is not None
    return {
        "recovery-plan.txt": shown(plan_summary(planned())),
        "recovery-plan-300.txt": shown(plan_summary(many(300))),
        "recovery-report.txt": shown(run_summary(run, run.run)),
        "recovery-report-verbose.txt": shown(run_summary(run, run.run), verbose=True),
    }


if __name__ == "__main__" and "--write" in sys.argv:
    for name, text in goldens().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
