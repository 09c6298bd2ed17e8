"""A profile may name an overlay that is still to be written."""

from pathlib import Path

import pytest

from jitsu_backup.cli.files import overlay_of_profile
from jitsu_backup.cli.output import Output
from jitsu_backup.errors import UsageError
from tests.support import cli


def test_the_first_run_may_write_the_overlay_that_the_profile_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "production.toml"
    monkeypatch.chdir(tmp_path)
    assert overlay_of_profile(Output({}), path, Path("production.toml")) is None
    for form in (None, Path("missing.toml")):
        with pytest.raises(UsageError) as refused:
            overlay_of_profile(Output({}), path, form)
        assert str(refused.value) == (
            f"overlay {path}: the profile names this file, but it does not exist; write a form to fill in with"
            f" --dry-run --overlay-out {path}, or an empty file if the target has no values of its own"
        )


def test_the_overlay_that_a_profile_names_is_read(tmp_path: Path) -> None:
    path = tmp_path / "production.toml"
    path.write_text("")
    found = overlay_of_profile(Output({}), path, None)
    assert found is not None
    assert found.parse().rules == ()
    assert overlay_of_profile(Output({}), None, path) is None
    with pytest.raises(UsageError, match=r"not a directory|Not a directory"):
        overlay_of_profile(Output({}), path / "below.toml", None)


def test_a_run_that_writes_needs_the_overlay_that_the_profile_names(tmp_path: Path) -> None:
    settings = 'host = "http://127.0.0.1:9"\nkey = "a:b"\n[profiles.prod]\nworkspace = "prod"\noverlay = "prod.toml"\n'
    (tmp_path / "jitsu-backup.toml").write_text(settings)
    given = ["clone", "staging", "@prod", "--yes", "--allow-missing-secrets", "--overlay-out", "prod.toml"]
    refused = cli(*given, cwd=tmp_path)
    assert (refused.returncode, "the profile names this file" in refused.stderr) == (2, True)
    assert "the profile names this file" not in cli(*given, "--dry-run", cwd=tmp_path).stderr
