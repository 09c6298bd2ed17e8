"""A newest archive that was cut off is no backup: it is written again, named, and put aside, and nothing older passes for it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pyrage import x25519

from jitsu_backup.archive import ArchiveName, new_identity, parse_name
from jitsu_backup.cli.app import App
from jitsu_backup.errors import BackupError, LockedError, NewerFormatError, StorageAccessError, UsageError
from jitsu_backup.model import shown_time
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.prune import Damage, Pruned, find_damage
from jitsu_backup.store import FolderStore, archives
from tests.advice import folded
from tests.restores.records import NO_KEYS, kept, record
from tests.support import run
from tests.unattended.workbench import Bench


def path_of(bench: Bench, archive: ArchiveName) -> Path:
    return bench.folder / "jitsu-backups" / str(archive)


def cut_off(bench: Bench, archive: ArchiveName, size: int = 100) -> None:
    path = path_of(bench, archive)
    path.write_bytes(path.read_bytes()[:size])


@pytest.fixture
def bench_with_a_damaged_newest(bench: Bench) -> Bench:
    """Two archives of different content, the newer of which was cut off."""
    bench.run("backup", "acme-staging")
    bench.state.objects["enrich-0001"].config["code"] = "newer"
    bench.run("backup", "acme-staging")
    assert len(bench.archives) == 2
    cut_off(bench, bench.archives[-1])
    return bench


def test_if_changed_writes_what_was_damaged_again_names_it_and_is_well_after_that(
    bench_with_a_damaged_newest: Bench,
) -> None:
    bench = bench_with_a_damaged_newest
    bench.an_hour_passes()
    damaged = bench.archives[-1]
    done = bench.run("backup", "acme-staging", "--if-changed", "--log-format", "json")
    assert done.returncode == 3
    line = json.loads(done.stderr)
    assert any(
        f"{damaged.reference} is damaged: it has 100 of {damaged.size:,} bytes" in alarm["why"]
        for alarm in line["alarms"]
    )
    assert not any("is damaged" in told for told in line["notices"])
    assert line["workspaces"][0]["damaged"] == str(damaged)
    assert len(bench.archives) == 3
    assert bench.archives[-1].digest_prefix == damaged.digest_prefix
    again = bench.run("backup", "acme-staging", "--if-changed")
    assert (again.returncode, "unchanged since" in again.stdout) == (0, True)


def test_latest_and_dates_never_mean_an_older_one_where_the_newest_is_damaged(
    bench_with_a_damaged_newest: Bench,
) -> None:
    bench = bench_with_a_damaged_newest
    older, damaged = bench.archives
    for reference in ("latest", "latest~0", f"{damaged.taken_at:%Y-%m-%d}", damaged.digest_prefix):
        for command in (("show",), ("verify",), ("restore", "--yes")):
            done = bench.run(command[0], reference, *command[1:])
            assert done.returncode == 5, (command, reference)
            assert damaged.reference in done.stderr
            assert "damaged" in done.stderr
    told = bench.run("show", "latest").stderr
    assert (
        f"use {older.dated}, the newest one before it that is undamaged and not shrunk, or back up again"
        in told
    )
    assert bench.run("show", "latest~1").returncode == 0
    assert bench.run("show", older.digest_prefix).returncode == 0
    checked = bench.run("verify", "--latest")
    assert (checked.returncode, checked.stdout.startswith("UNREADABLE")) == (5, True)


def test_the_remedy_is_the_same_whatever_the_damage_and_each_fault_is_said_once(bench: Bench) -> None:
    for number in range(4):
        bench.state.objects["enrich-0001"].config["code"] = f"v{number}"
        bench.run("backup", "acme-staging")
    oldest, sound, flipped, newest = bench.archives
    path = path_of(bench, flipped)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    cut_off(bench, newest)
    remedy = (
        f"; use {sound.dated}, the newest one before it that is undamaged and not shrunk{{}}move the damaged one away with"
        " `jitsu-backup prune --quarantine`"
    )
    done = bench.run("verify", "--all")
    assert done.returncode == 5
    for archive, again in ((flipped, "; then "), (newest, ", or back up again; but first ")):
        when = shown_time(archive.taken_at)
        assert f"UNREADABLE  {archive.reference}  {when} (" in done.stdout
        assert f"cannot be read: {archive.dated}: the archive is" in done.stderr
        assert remedy.format(again) in folded(done.stderr), done.stderr
        assert (done.stdout + done.stderr).count(archive.digest_prefix) == 2
    told = bench.run("diff", flipped.digest_prefix, oldest.digest_prefix)
    assert (told.returncode, remedy.format("; then ") in folded(told.stderr)) == (5, True), told.stderr
    cut_off(bench, flipped)
    assert remedy.format("; then ") in folded(bench.run("show", flipped.digest_prefix).stderr)


def test_of_two_archives_with_one_id_the_undamaged_one_is_named_by_its_file(bench: Bench) -> None:
    for _ in range(2):
        bench.run("backup", "acme-staging")
    sound, newest = bench.archives
    assert sound.digest_prefix == newest.digest_prefix
    path = path_of(bench, newest)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    told = bench.run("show", "latest")
    assert (told.returncode, f"; use {sound} of " in told.stderr) == (5, True), told.stderr
    assert bench.run("show", str(sound)).returncode == 0


def test_by_its_id_a_damaged_one_is_read_from_another_archive_of_the_same_content(
    bench_with_a_damaged_newest: Bench,
) -> None:
    bench = bench_with_a_damaged_newest
    bench.run("backup", "acme-staging")
    assert bench.run("show", bench.archives[-1].digest_prefix).returncode == 0
    cut_off(bench, bench.archives[-1])
    assert bench.run("show", bench.archives[-1].digest_prefix).returncode == 5


def test_it_is_listed_as_damaged(bench_with_a_damaged_newest: Bench) -> None:
    bench = bench_with_a_damaged_newest
    listed = bench.run("snapshots").stdout.splitlines()
    assert ["DAMAGED" in line for line in listed[-2:]] == [True, False]
    lines = json.loads(bench.run("--json", "snapshots").stdout)["snapshots"]
    assert [line["damaged"] for line in lines] == [True, False]


def test_prune_keeps_it_says_why_and_lets_it_take_no_place(bench_with_a_damaged_newest: Bench) -> None:
    bench = bench_with_a_damaged_newest
    older, damaged = bench.archives
    report = json.loads(bench.run("--json", "prune", "--keep-last", "1").stdout)
    assert [line["keep"] for line in report["snapshots"]] == [True, True]
    (why,) = report["snapshots"][0]["reasons"]
    assert why == f"damaged: it has 100 of {damaged.size:,} bytes; move it away with prune --quarantine"
    assert "the newest complete one" in report["snapshots"][1]["reasons"]
    assert bench.archives == [older, damaged]


def test_only_quarantine_puts_it_aside_and_names_it(bench_with_a_damaged_newest: Bench) -> None:
    bench = bench_with_a_damaged_newest
    older, damaged = bench.archives
    looked = bench.run("prune", "--quarantine", "--dry-run")
    assert (
        f"{damaged.reference} of {shown_time(damaged.taken_at)} would be moved to quarantine/: it has 100 of"
        in " ".join(looked.stdout.split())
    )
    assert f"use {older.dated}, the newest one before it" in folded(looked.stdout)
    assert bench.archives == [older, damaged]
    done = bench.run("prune", "--quarantine")
    assert done.returncode == 0
    assert f"{damaged.reference} of {shown_time(damaged.taken_at)} was moved to quarantine/" in " ".join(
        done.stdout.split()
    )
    assert done.stdout.splitlines()[-1] == "1 quarantined."
    assert bench.archives == [older]
    assert (bench.folder / "jitsu-backups" / "quarantine" / str(damaged)).stat().st_size == 100
    assert bench.run("show", "latest").returncode == 0
    assert bench.run("prune", "--quarantine").stdout == "0 quarantined.\n"
    both = bench.run("prune", "--quarantine", "--keep-last", "1")
    assert both.stdout.splitlines()[-1] == "1 kept, 0 removed, 0 quarantined."


def test_quarantine_finds_a_changed_byte_where_the_size_is_right_and_leaves_what_no_key_opens(
    bench: Bench,
) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.state.objects["enrich-0001"].config["code"] = "newer"
    bench.run("backup", "acme-staging", "--encrypt-to", str(x25519.Identity.generate().to_public()))
    damaged, locked = bench.archives
    path = bench.folder / "jitsu-backups" / str(damaged)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    done = bench.run("prune", "--quarantine")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 quarantined.")
    assert (
        f"{damaged.reference} of {shown_time(damaged.taken_at)} was moved to quarantine/: the archive is damaged"
        in " ".join(done.stdout.split())
    )
    assert "1 encrypted archive could not be opened, so only the file sizes were compared" in " ".join(
        done.stderr.split()
    )
    assert bench.archives == [locked]


def test_an_advised_command_that_opens_encrypted_archives_has_the_identity() -> None:
    app = SimpleNamespace(again=lambda *words: list(words), flags_to_open=lambda locked: ["-i"] * len(locked))
    name = "acme.id.20261127T103045760Z.49c55f2883f2.1_1stream.json.gz"
    plain, locked = parse_name(name), parse_name(f"{name}.age")
    assert plain is not None
    assert locked is not None
    again = App.again_with_keys(cast("App", app), [locked])
    assert again("prune", "--quarantine") == ["prune", "--quarantine", "-i"]
    assert again("recover") == ["recover", "-i"]
    assert again("diff", locked.reference) == ["diff", locked.reference, "-i"]
    assert again("check", "acme") == ["check", "acme"]
    assert App.again_with_keys(cast("App", app), [plain])("recover") == ["recover"]


def test_quarantine_passes_over_what_another_run_has_removed_meanwhile(tmp_path: Path) -> None:
    store = FolderStore(str(tmp_path / "store"))
    kept(store, record("one"), record("another", minutes=1))
    found = run(archives(store))
    (store.folder / str(found[0])).unlink()
    assert run(find_damage(store, found, NO_KEYS)) == Damage()


@pytest.mark.parametrize(
    ("keys", "kind", "words"),
    [
        (ArchiveKeys(identities=(b"",)), UsageError, "the identity file is empty"),
        (ArchiveKeys(identities=(b"garbage",)), UsageError, "the identity file has no identity"),
        (ArchiveKeys(identities=(new_identity()[0].encode(),)), LockedError, "encrypted to other identities"),
        (ArchiveKeys(passphrase="x"), UsageError, "no key was given"),
    ],
)
def test_quarantine_with_keys_that_open_nothing_fails_and_names_an_archive(
    tmp_path: Path, keys: ArchiveKeys, kind: type[BackupError], words: str
) -> None:
    store, own = FolderStore(str(tmp_path / "store")), new_identity()
    kept(store, record("one"))
    (locked,) = kept(store, record("another", minutes=1), keys=ArchiveKeys([own[1]]))
    found = run(archives(store))
    with pytest.raises(kind, match=f"^{locked.reference}: .*{words}") as caught:
        run(find_damage(store, found, keys))
    assert caught.value.exit_code == kind.exit_code
    assert run(find_damage(store, found, NO_KEYS)) == Damage(unopened=1)
    assert run(find_damage(store, found, ArchiveKeys(identities=(b"", own[0].encode())))) == Damage()


def test_quarantine_takes_a_damaged_archive_that_the_key_opens_though_it_opens_no_other(
    tmp_path: Path,
) -> None:
    class Flipped(ArchiveKeys):
        def unsealed(self, data: bytes) -> bytes:
            content = super().unsealed(data)
            return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]

    store, own, other = FolderStore(str(tmp_path / "store")), new_identity(), new_identity()
    (broken,) = kept(store, record("one"), keys=ArchiveKeys([own[1]]))
    kept(store, record("another", minutes=1), keys=ArchiveKeys([other[1]]))
    found = run(find_damage(store, run(archives(store)), Flipped(identities=(own[0].encode(),))))
    assert [archive for archive, _ in found.archives] == [broken]
    assert found.unopened == 1


def test_quarantine_lists_what_only_a_newer_version_reads(tmp_path: Path) -> None:
    class Newer(ArchiveKeys):
        def unsealed(self, data: bytes) -> bytes:
            raise NewerFormatError("format 99")

    store = FolderStore(str(tmp_path / "store"))
    (newer,) = kept(store, record("one"))
    assert run(find_damage(store, [newer], Newer())) == Damage(newer=(newer,))


def test_what_may_not_be_moved_or_removed_is_a_matter_of_permission() -> None:
    refused, failed = StorageAccessError("permission denied"), BackupError("already exists")
    codes = [
        pruned.exit_code
        for pruned in (Pruned(), Pruned(unmoved=(refused,)), Pruned(stuck=(refused,), unmoved=(failed,)))
    ]
    assert codes == [0, 6, 1]


def test_quarantine_ends_with_the_error_of_a_store_that_cannot_read_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_store: FolderStore, _name: str) -> bytes:
        raise BackupError("the store does not answer")

    store = FolderStore(str(tmp_path / "store"))
    kept(store, record("one"))
    found = run(archives(store))
    monkeypatch.setattr(FolderStore, "read", fail)
    with pytest.raises(BackupError, match="does not answer"):
        run(find_damage(store, found, NO_KEYS))


def test_quarantine_removes_nothing_by_the_retention_of_the_settings(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.state.objects["enrich-0001"].config["code"] = "newer"
    bench.run("backup", "acme-staging")
    (bench.folder / "jitsu-backup.toml").write_text("[retention]\nkeep_last = 1\n")
    done = bench.run("prune", "--quarantine")
    assert done.stdout.splitlines() == [
        "The [retention] of the settings was not applied; to apply it, run `jitsu-backup prune`.",
        "0 quarantined.",
    ]
    assert len(bench.archives) == 2
    assert bench.run("prune").stdout.splitlines()[-1] == "1 kept, 1 removed."


def test_what_is_aside_already_under_that_name_is_never_overwritten(
    bench_with_a_damaged_newest: Bench,
) -> None:
    bench = bench_with_a_damaged_newest
    aside = bench.folder / "jitsu-backups" / "quarantine"
    aside.mkdir()
    (aside / str(bench.archives[-1])).write_bytes(b"earlier")
    done = bench.run("prune", "--quarantine")
    assert (done.returncode, "already exists" in done.stderr) == (1, True)
    assert (aside / str(bench.archives[-1])).read_bytes() == b"earlier"
    assert len(bench.archives) == 2


def test_a_damaged_one_is_no_baseline_of_the_shrink_alarm(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.forget("destination", 2)
    bench.run("backup", "acme-staging")  # half is not more than half
    cut_off(bench, bench.archives[0])
    bench.an_hour_passes()
    bench.forget("destination", 1)
    assert (
        bench.run("backup", "acme-staging").returncode == 0
    )  # of 2, not of the 4 that cannot be brought back


def test_with_encryption_too_the_size_tells(bench: Bench) -> None:
    secret = {"JITSU_BACKUP_PASSPHRASE": "correct horse"}
    bench.run("backup", "acme-staging", **secret)
    (archive,) = bench.archives
    assert archive.size == path_of(bench, archive).stat().st_size
    cut_off(bench, archive)
    assert bench.run("backup", "acme-staging", "--if-changed", **secret).returncode == 3
    assert len(bench.archives) == 2


def test_one_of_before_sizes_is_written_once_more(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    (archive,) = bench.archives
    old = str(archive).replace(f".z{archive.size}-{archive.sketch}", "")
    path_of(bench, archive).rename(bench.folder / "jitsu-backups" / old)
    assert bench.run("show", "latest").returncode == 0
    bench.an_hour_passes()
    first, second = (bench.run("backup", "acme-staging", "--if-changed") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert ["unchanged since" in done.stdout for done in (first, second)] == [False, True]
    assert [each.size is None for each in bench.archives] == [True, False]


def test_packing_again_what_was_packed_writes_nothing(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.run("unpack", "latest", "tree")
    first, second = (json.loads(bench.run("--json", "pack", "tree").stdout) for _ in range(2))
    assert (first["written"], second["written"]) == (True, False)
    assert first["archive"] == second["archive"]
