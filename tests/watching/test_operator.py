"""`watch` with the operator's token: every workspace of the console, with its secrets, which are refused in plain text."""

from typing import Any

import pytest

from jitsu_backup.archive import OPERATOR
from tests.unattended.workbench import Bench
from tests.watching.test_command_line import bench, until, watching

__all__ = ["bench"]  # a fixture

TOKEN = "service:admintoken"


def as_operator(bench: Bench) -> dict[str, Any]:
    bench.env = {"JITSU_HOST": bench.url}
    return {"JITSU_ADMIN_TOKEN": TOKEN}


def test_every_workspace_is_watched(bench: Bench) -> None:
    bench.state.add_workspace("cothers00000000000000009", "Others", "others-co", {})
    with watching(bench, "--all", "--new-store", "--plaintext-secrets", **as_operator(bench)) as process:
        until(lambda: len(bench.archives) == 3)
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
    kinds = {archive.slug: archive.key_class for archive in bench.archives}
    assert kinds == {"acme-staging": OPERATOR, "acme-production": None, "others-co": None}


@pytest.mark.parametrize("what", ["--all", "acme-staging"])
def test_secrets_in_clear_end_it(bench: Bench, what: str) -> None:
    for env in (as_operator(bench), {"JITSU_APIKEY": TOKEN}):
        with watching(bench, what, "--new-store", **env) as process:
            told = process.communicate(timeout=60)[1]
        assert process.returncode == 2
        assert told.count("would hold unencrypted secrets") == 1, told
    assert bench.archives == []
