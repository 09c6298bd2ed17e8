"""What a run leaves in a store of encrypted archives is encrypted too, without being told whom to."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup.archive import recipients_of_identities
from jitsu_backup.model import Snapshot
from jitsu_backup.sandbox import Sandbox
from tests.restores.kit import write_overlay
from tests.restores.test_undo import archives, code_of
from tests.test_bad_input import refused

Shell = Callable[..., Any]

IDENTITY = ("--identity", "identity")


@pytest.fixture
def recipient(tmp_path: Path) -> str:
    """The recipient of the age key in the file `identity`."""
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"# created by age-keygen\n{identity}\n")
    return str(identity.to_public())


def change(sandbox: Sandbox) -> None:
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"


def test_an_identity_tells_its_recipient() -> None:
    identity = pyrage.x25519.Identity.generate()
    assert recipients_of_identities([b"no key", str(identity).encode()]) == [str(identity.to_public())]


def test_a_restore_of_an_encrypted_archive_and_its_undo_leave_nothing_in_the_clear(
    shell: Shell, sandbox: Sandbox, recipient: str, tmp_path: Path
) -> None:
    shell("backup", "acme-staging", "--encrypt-to", recipient)
    change(sandbox)
    for done in (shell("restore", "latest", *IDENTITY, "--yes"), shell("undo", *IDENTITY, "--yes")):
        assert done.returncode == 0, done.stdout + done.stderr
    assert code_of(sandbox) == "of today"
    names = archives(tmp_path)
    assert len(names) == 5
    assert {(name.encrypted, name.key) for name in names} == {(True, names[0].key)}


def test_an_encrypted_archive_of_a_file_leaves_nothing_in_the_clear_in_an_empty_store(
    shell: Shell, sandbox: Sandbox, recipient: str, tmp_path: Path
) -> None:
    shell("backup", "acme-staging", "--encrypt-to", recipient, "--output", "backup.bin")
    change(sandbox)
    done = shell("restore", "./backup.bin", *IDENTITY, "--yes", "--new-store")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [name.encrypted for name in archives(tmp_path)] == [True, True]


def test_a_clone_leaves_nothing_in_the_clear_where_archives_are_encrypted(
    shell: Shell, before: Snapshot, recipient: str, tmp_path: Path
) -> None:
    shell("backup", "acme-staging", "--encrypt-to", recipient)
    write_overlay(before, tmp_path / "o.json")
    flags = ("--overlay", "o.json", "--skip", "domain", "--keys-out", "keys.json", "--yes")
    done = shell("clone", "acme-staging", "acme-production", *flags, *IDENTITY)
    assert done.returncode in (0, 3), done.stderr
    assert {name.encrypted for name in archives(tmp_path)} == {True}
    assert any(name.cloned_from for name in archives(tmp_path))


def test_a_comment_on_a_plan_names_the_overlay_and_identity_that_the_plan_needs(
    shell: Shell, before: Snapshot, recipient: str, tmp_path: Path
) -> None:
    shell("backup", "acme-staging", "--encrypt-to", recipient)
    (tmp_path / "own").mkdir()
    write_overlay(before, tmp_path / "own" / "o.json")
    flags = ("--overlay", "own/o.json", "--skip", "domain", "--plan-out", "p.json", "--markdown", "plan.md")
    done = shell("restore", "latest", "--into", "acme-production", *flags, *IDENTITY)
    assert done.returncode == 3, done.stderr  # a domain is in use
    command = "jitsu-backup restore --plan p.json --overlay own/o.json --identity identity"
    assert command in done.stderr
    assert f"`{command} --keys-out keys.json`" in (tmp_path / "plan.md").read_text()


def test_a_store_of_plain_archives_stays_plain(
    shell: Shell, sandbox: Sandbox, recipient: str, tmp_path: Path
) -> None:
    assert recipient
    shell("backup", "acme-staging")
    change(sandbox)
    done = shell("restore", "latest", *IDENTITY, "--yes")
    assert done.returncode == 0, done.stderr
    assert not any(name.encrypted for name in archives(tmp_path))


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="makes SSH keys with ssh-keygen")
def test_an_identity_that_does_not_tell_its_recipient_asks_for_it_before_anything_is_written(
    shell: Shell, sandbox: Sandbox, tmp_path: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "identity"], check=True)
    public = (tmp_path / "identity.pub").read_text().strip()
    shell("backup", "acme-staging", "--encrypt-to", public)
    change(sandbox)
    refused(shell("restore", "latest", *IDENTITY, "--yes"), 2, "add --encrypt-to RECIPIENT")
    assert (code_of(sandbox), len(archives(tmp_path))) == ("of today", 1)
    assert shell("restore", "latest", *IDENTITY, "--dry-run").returncode == 0
    done = shell("restore", "latest", *IDENTITY, "--yes", "--encrypt-to", public)
    assert done.returncode == 0, done.stderr
    assert {name.encrypted for name in archives(tmp_path)} == {True}
