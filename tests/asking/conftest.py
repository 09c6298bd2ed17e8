"""A world whose store is a folder."""

from pathlib import Path

import pytest

from tests.asking.kit import World, world_in


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_in(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"
