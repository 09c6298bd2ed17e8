"""A sandbox, and a snapshot of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.model import Snapshot
from jitsu_backup.sandbox import Sandbox, running
from jitsu_backup.store import FolderStore
from tests.restores.records import Machine
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


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(str(tmp_path / "store"))


@pytest.fixture
def machine(sandbox: Sandbox, before: Snapshot, tmp_path: Path) -> Iterator[Machine]:
    for stream in sandbox.state.live_objects(STAGING, "stream"):
        stream.config.pop("domains", None)
    with running(sandbox) as url:
        yield Machine(tmp_path, url, sandbox, before)
