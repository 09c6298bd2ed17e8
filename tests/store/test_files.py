"""A file is written whole or not at all, and a failure says which file and why."""

import asyncio
import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jitsu_backup.errors import BackupError, advice_on
from jitsu_backup.store import FolderStore, read_file, write_file, write_tree


def failure(path: Path, data: bytes = b"new") -> str:
    with pytest.raises(BackupError) as caught:
        write_file(path, data)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_was_there_is_replaced_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write_file(path, b"new")
    assert read_file(path) == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_wider_mode_is_given_where_asked_for(tmp_path: Path) -> None:
    write_file(tmp_path / "file", b"", mode=0o640)
    assert (tmp_path / "file").stat().st_mode & 0o777 & ~0o640 == 0


@pytest.mark.parametrize("step", ["open", "fsync", "write"])
@pytest.mark.parametrize(
    "problem", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"]
)
def test_a_failure_at_any_step_leaves_the_old_file_and_no_other(
    step: str, problem: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises((BackupError, KeyboardInterrupt)) as caught:
            write_file(path, b"new")
    if isinstance(problem, OSError):
        assert str(caught.value) == f"cannot write {path}: no space left on device; free space on its disk"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_size_limit_is_reported_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = (
        "import sys, pathlib; from jitsu_backup.store import write_file\n"
        "try: write_file(pathlib.Path(sys.argv[1]), b'x' * 100_000)\n"
        "except Exception as problem: print(type(problem).__name__, problem)"
    )

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(path)],
        preexec_fn=limit, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (
        done.stdout.strip()
        == f"BackupError cannot write {path}: file too large; {advice_on(OSError(errno.EFBIG, ''))}"
    )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_a_file_for_a_folder_and_a_folder_for_a_file_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "no such file or directory" in failure(tmp_path / "missing" / "x")
    assert "not a directory" in failure(tmp_path / "file" / "x")
    assert "not a regular file" in failure(tmp_path)


def test_a_device_or_pipe_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in failure(tmp_path / "pipe")
    assert "not a regular file" in failure(Path(os.devnull))
    assert not Path(os.devnull).is_file()


def test_a_folder_that_cannot_be_synced_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def only_files(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112  a descriptor, not a path of ours
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_file(tmp_path / "file", b"new")
    assert read_file(tmp_path / "file") == b"new"


def test_a_file_that_cannot_be_read_is_reported_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"cannot read .*missing: no such file or directory"):
        read_file(tmp_path / "missing")
    with pytest.raises(BackupError, match="is a directory"):
        read_file(tmp_path)


def test_a_new_store_and_its_parents_are_their_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "a" / "b" / "store")
    before = os.umask(0)
    try:
        asyncio.run(store.create("jitsu-backup-store.json", b"{}"))
        write_tree(tmp_path / "c" / "tree", {"manifest.json": b"{}", "stream/x.json": b"{}"})
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {path.name for path in made} == {"a", "b", "store", "c", "tree", "stream"}
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}


def test_a_file_system_that_refuses_modes_takes_the_file_and_keeps_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refused)
    write_file(tmp_path / "figures.prom", b"x", mode=0o644)
    assert [path.name for path in tmp_path.iterdir()] == ["figures.prom"]
