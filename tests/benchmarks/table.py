"""One line of the table, and the table."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured: ours beside `against` in `unit`, and `value`, which must not be beyond `bound`.

    With `at_least`, it must not be below. `against` says what that other number is of. Without a bound it is only told.
    """

    what: str
    ours: float
    other: float
    unit: str
    against: str
    value: float
    bound: float | None
    at_least: bool = False

    @property
    def ok(self) -> bool:
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def ratio(
    what: str,
    ours: float,
    other: float,
    unit: str,
    against: str,
    bound: float | None,
    *,
    at_least: bool = False,
) -> Row:
    """Give a row whose value is ours / other; with `at_least`, other / ours: a throughput."""
    value = (other / ours if at_least else ours / other) if ours and other else 0.0
    return Row(what, ours, other, unit, against, value, bound, at_least)


def count(what: str, found: float, bound: float, unit: str, against: str = "") -> Row:
    """Give a row that counts something."""
    return Row(what, found, bound, unit, against, found, bound)


def alternating(rounds: int, *jobs: Callable[[], float]) -> list[float]:
    """Give the median of each job, run in turn: what disturbs the machine meets all of them."""
    found = [[job() for job in jobs] for _ in range(rounds)]
    return [statistics.median(times) for times in zip(*found, strict=True)]


def table(rows: Iterable[Row]) -> Table:
    """Give the table for a terminal."""
    shown = Table(title="Medians, side by side")
    for name, justify in (
        ("what", "left"), ("ours", "right"), ("other", "right"), ("", "left"), ("against", "left"), ("ratio", "right"),
        ("bound", "right"), ("ok", "left"),
    ):  # fmt: skip
        shown.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        bound = "" if row.bound is None else f"{'≥' if row.at_least else '≤'} {row.bound:g}"
        ok = "" if row.bound is None else "[green]yes[/]" if row.ok else "[bold red]NO[/]"
        numbers = f"{row.ours:,.4g}", f"{row.other:,.4g}", row.unit, row.against, f"{row.value:.3g}"
        shown.add_row(row.what, *numbers, bound, ok)
    return shown


def document(rows: Iterable[Row], **facts: Any) -> dict[str, Any]:
    """Give the same for JSON."""
    return {**facts, "rows": [{**asdict(row), "ok": row.ok} for row in rows]}
