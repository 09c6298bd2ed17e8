"""A sandbox, and a snapshot of it."""

import pytest

from jitsu_backup.model import Snapshot
from jitsu_backup.sandbox import Sandbox
from tests.support import STAGING, console_of, example_sandbox, read, run


@pytest.fixture
def sandbox() -> Sandbox:
    return example_sandbox()


@pytest.fixture
def before(sandbox: Sandbox) -> Snapshot:
    return run(read(console_of(sandbox), STAGING))
