"""A console, a backup of it, and the folder that `backup --unpack` makes of it; how people edit such a folder."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.support import STAGING
from tests.unattended.workbench import Bench


@contextmanager
def unpacked(folder: Path) -> Iterator[Bench]:
    """Run a console, and yield a bench with a backup of it in the store and the folder `tree` that it was unpacked to."""
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        made = Bench(state, url, folder)
        assert made.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
        yield made


def file(bench: Bench, pattern: str, folder: str = "tree") -> Path:
    (found,) = (bench.folder / folder).glob(pattern)
    return found


def edit(bench: Bench, pattern: str, folder: str = "tree", **fields: Any) -> None:
    path = file(bench, pattern, folder)
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def an_edit(bench: Bench, folder: str = "tree") -> None:
    file(bench, "function/enrich-*.js", folder).write_text("// edited")


def planned(done: Any) -> Any:
    assert done.returncode in (0, 3), done.stderr  # 3 if something stays different
    return json.loads(done.stdout)["plan"]


def enriched(bench: Bench) -> str:
    code: str = bench.state.objects["enrich-0001"].config["code"]
    return code


def add(path: str, text: str) -> Callable[[Bench], object]:
    def apply(bench: Bench) -> None:
        there = bench.folder / "tree" / path
        there.parent.mkdir(exist_ok=True)
        there.write_text(text)

    return apply
