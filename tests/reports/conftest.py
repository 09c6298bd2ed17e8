"""What the tests of pages in a browser share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reports.browser import Watched, browser


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    # no longer than a module: while it runs, no other event loop can
    with browser() as one:
        yield one


@pytest.fixture
def watch(running: Any, tmp_path: Path) -> Iterator[Any]:
    opened: list[Watched] = []

    def watch(**options: Any) -> Watched:
        opened.append(Watched(running, tmp_path, **options))
        return opened[-1]

    yield watch
    for one in opened:
        one.context.close()
