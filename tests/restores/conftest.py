"""A sandbox, and a snapshot of it."""

from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.model import Snapshot
from jitsu_backup.sandbox import Sandbox, running
from tests.support import OWNER, STAGING, cli, console_of, example_sandbox, read, run


@pytest.fixture
def sandbox() -> Sandbox:
    return example_sandbox()


@pytest.fixture
def before(sandbox: Sandbox) -> Snapshot:
    return run(read(console_of(sandbox), STAGING))


@pytest.fixture
def shell(tmp_path: Path, sandbox: Sandbox) -> Any:
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER, "GIVEN": "CANARY-given"}
        yield lambda *arguments: cli(*arguments, env=env, cwd=tmp_path)
