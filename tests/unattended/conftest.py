"""A console with a workspace of every type, and the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.support import STAGING
from tests.unattended.workbench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        yield Bench(state, url, tmp_path)
