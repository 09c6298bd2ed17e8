"""A type with routes of its own is a line in the catalogue, a route module and its line in the table of routes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent / "new_route"
ROOT = Path(__file__).parents[2]

CATALOGUE_LINE = """EntityType(
    "segment", 1, route=Route.SEGMENT, list_field="segments",
    references=(Reference(("destinationId",), ("destination",)),),
    put=Put.REPLACES, sends_changes_only=False,
),"""


def insert_after(path: Path, line: str, *more: str) -> None:
    """Put more lines after the one line that begins with `line`, indented as it is or one step further."""
    lines = path.read_text().splitlines()
    (at,) = (number for number, text in enumerate(lines) if text.startswith(line))
    path.write_text("\n".join([*lines[: at + 1], *more, *lines[at + 1 :], ""]))


def test_a_type_with_routes_of_its_own_is_added_in_the_catalogue_and_one_module(tmp_path: Path) -> None:
    package = tmp_path / "jitsu_backup"
    shutil.copytree(ROOT / "jitsu_backup", package, ignore=shutil.ignore_patterns("__pycache__"))
    insert_after(package / "catalogue/table.py", "    LINK = ", '    SEGMENT = "segment"')
    insert_after(package / "catalogue/table.py", "_TYPES = (", CATALOGUE_LINE)
    shutil.copy(HERE / "segments.py", package / "console/routes/segments.py")
    table = package / "console/routes/__init__.py"
    insert_after(table, "_ROUTES: ", "    Route.SEGMENT: SegmentRoute,")
    insert_after(
        table,
        "from jitsu_backup.console.routes.links",
        "from jitsu_backup.console.routes.segments import SegmentRoute",
    )
    run = subprocess.run(
        [sys.executable, "-m", "tests.console.new_route.play"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT)))},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
