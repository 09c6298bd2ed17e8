"""A watched console with a store, on a clock of its own."""

from pathlib import Path

import pytest

from tests.virtual_time import VirtualLoop
from tests.watching.kit import Bench, TickingLoop


@pytest.fixture
def loop() -> VirtualLoop:
    return TickingLoop()


@pytest.fixture
def bench(loop: VirtualLoop, tmp_path: Path) -> Bench:
    return Bench(loop, str(tmp_path / "store"))
