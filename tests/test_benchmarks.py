"""The benchmarks run and tell what they measured; how fast it is, no test says."""

import io
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
from rich.console import Console

from jitsu_backup.catalogue import dangling_references
from tests.benchmarks.console import console, round_trips
from tests.benchmarks.growth import grown
from tests.benchmarks.history import fill
from tests.benchmarks.sockets import bare
from tests.benchmarks.table import alternating, count, document, ratio, table
from tests.support import OWNER, STAGING
from tests.test_history_laws import read_history


def test_a_row_says_whether_its_bound_holds() -> None:
    assert ratio("start", 15.0, 10.0, "ms", "import", 1.5).ok
    assert not ratio("start", 16.0, 10.0, "ms", "import", 1.5).ok
    assert ratio("restore", 10.0, 9.0, "s", "loop", 0.9, at_least=True).ok
    assert not ratio("restore", 10.0, 8.0, "s", "loop", 0.9, at_least=True).ok
    assert not count("writes", 1, 0, "requests").ok


def test_the_table_and_the_document_hold_every_row() -> None:
    rows = [ratio("start", 15.0, 10.0, "ms", "import", 1.5), count("writes", 3, 0, "requests")]
    out = Console(width=140, file=io.StringIO())
    out.print(table(rows))
    shown = out.file.getvalue()  # type: ignore[attr-defined]
    assert "start" in shown
    assert "NO" in shown
    told = orjson.loads(orjson.dumps(document(rows, full=False)))
    assert [(row["what"], row["ok"]) for row in told["rows"]] == [("start", True), ("writes", False)]


def test_jobs_are_measured_in_turn() -> None:
    order: list[str] = []

    def job(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    assert alternating(3, lambda: job("a", 1.0), lambda: job("b", 2.0)) == [1.0, 2.0]
    assert order == ["a", "b"] * 3


def test_requests_side_by_side_are_one_round_trip() -> None:
    def line(began: float, ended: float) -> dict[str, float]:
        return {"began": began, "ended": ended}

    assert round_trips([line(0, 1), line(0, 1.2), line(1.3, 2), line(1.4, 2.1)]) == 2


def test_the_console_of_the_benchmarks_writes_down_what_can_be_sent_again() -> None:
    with console() as served:
        served.begin(archive=None, latency=0.0)
        made = httpx.post(
            f"{served.url}/api/{STAGING}/config/function",
            json={"id": "f1", "name": "f", "code": "x"},
            headers={"Authorization": f"Bearer {OWNER}"},
        )
        assert made.status_code == 200
        (asked,) = log = served.log()
        assert (asked["method"], asked["target"]) == ("POST", f"/api/{STAGING}/config/function")
        served.begin(archive=None)
        assert len(bare(served.url, log)) == 1
        assert [line["body"] for line in served.log()] == [asked["body"]]


def test_a_grown_workspace_is_as_whole_as_the_one_that_it_is_made_of() -> None:
    one, three = grown(1000), grown(3000)
    assert len(three.entities) == 3 * len(one.entities)
    assert len({entity.key for entity in three.entities}) == len(three.entities)
    assert len(dangling_references(three)) == 3 * len(dangling_references(one))


def test_the_command_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--help"], capture_output=True, text=True, check=True
    )
    assert "--quick" in done.stdout


def test_the_store_of_the_history_has_an_archive_an_hour_that_can_be_read(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    found = read_history(tmp_path, now=datetime(2026, 2, 1, tzinfo=UTC))
    assert len(found.archives) == 6
    assert found.steps
