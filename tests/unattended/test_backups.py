"""`backup` from cron: what is written, what alarms, what is refused."""

import json
from dataclasses import replace
from datetime import timedelta

import pyrage
import pytest

from jitsu_backup.sandbox import Sandbox, running
from tests.support import STAGING
from tests.unattended.workbench import Bench


def test_if_changed_writes_nothing_where_the_latest_archive_holds_the_same(bench: Bench) -> None:
    first = bench.run("backup", "acme-staging", "--if-changed")
    again = bench.run("backup", "acme-staging", "--if-changed")
    assert (first.returncode, again.returncode) == (0, 0)
    assert "unchanged since" in again.stdout
    assert len(bench.archives) == 1
    report = json.loads(bench.run("--json", "backup", "acme-staging", "--if-changed").stdout)
    (line,) = report["snapshots"]
    assert (line["written"], line["bytes"], line["id"]) == (False, 0, bench.archives[0].digest_prefix)
    assert len(line["digest"]) == 64
    bench.state.objects["enrich-0001"].config["code"] = "changed"
    assert "unchanged" not in bench.run("backup", "acme-staging", "--if-changed").stdout
    assert len(bench.archives) == 2


def test_if_changed_still_writes_what_gets_a_label_or_encryption_that_the_latest_lacks(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.run("backup", "acme-staging", "--if-changed", "--label", "before-upgrade")
    assert bench.archives[-1].labels == {"before-upgrade"}
    bench.run("backup", "acme-staging", "--if-changed", JITSU_BACKUP_PASSPHRASE="correct horse")
    assert len(bench.archives) == 3
    assert [archive.encrypted for archive in bench.archives].count(True) == 1


@pytest.mark.parametrize("label", ["Upper", "incomplete", "shrunk", "a.b", ""])
def test_a_label_that_is_none_is_refused_before_anything_is_read(label: str, bench: Bench) -> None:
    done = bench.run("backup", "acme-staging", "--label", label)
    assert done.returncode == 2
    assert "--label" in done.stderr
    assert bench.archives == []


def test_a_workspace_that_has_shrunk_is_kept_marked_and_reported_until_somebody_accepts_it(
    bench: Bench,
) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.forget("destination", 1)
    done = bench.run("backup", "acme-staging", "--if-changed")
    assert done.returncode == 3
    assert "SHRUNK  destination: 4 before, 1 now" in done.stdout
    assert "jitsu-backup: acme-staging has shrunk: destination: 4 before, 1 now" in done.stderr
    assert [archive.marks for archive in bench.archives] == [(), ("shrunk",)]
    bench.an_hour_passes()
    again = bench.run("backup", "acme-staging", "--if-changed")  # nobody may have heard the first alarm
    assert again.returncode == 3
    assert "unchanged since" in again.stdout
    assert "has shrunk" in again.stderr
    kept = bench.run("prune", "--keep-last", "1")
    assert kept.returncode == 0, kept.stderr
    assert len(bench.archives) == 2  # what was there before the fall outlives the policy for a while
    accepted = bench.run("backup", "acme-staging", "--if-changed", "--accept-shrink")
    assert accepted.returncode == 0
    assert [archive.marks for archive in bench.archives] == [(), ("shrunk",), ("accepted",)]
    bench.an_hour_passes()
    assert bench.run("backup", "acme-staging").returncode == 0


def test_an_alarm_ends_when_all_is_back_and_says_so(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    gone = [row for row in bench.state.live_objects(STAGING, "destination") if not row.deleted]
    for row in gone[1:]:
        row.deleted = True
    assert bench.run("backup", "acme-staging").returncode == 3
    bench.an_hour_passes()
    for row in gone[1:-1]:
        row.deleted = False
    fewer = bench.run("backup", "acme-staging")
    assert (fewer.returncode, "SHRUNK  destination: 4 before, 3 now" in fewer.stdout) == (3, True)
    bench.an_hour_passes()
    gone[-1].deleted = False
    done = bench.run("backup", "acme-staging")
    assert (done.returncode, "  no longer shrunk\n" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize(
    ("flags", "settings", "left", "code"),
    [
        ((), "", 2, 0),  # half is not more than half
        (("--shrink-alarm", "0.4"), "", 2, 3),
        ((), "shrink_alarm = 0.4\n", 2, 3),
        (("--shrink-alarm", "1"), "", 0, 0),
    ],
)
def test_how_far_a_count_may_fall_is_a_setting(
    flags: tuple[str, ...], settings: str, left: int, code: int, bench: Bench
) -> None:
    (bench.folder / "jitsu-backup.toml").write_text(settings)
    bench.run("backup", "acme-staging")
    bench.forget("destination", left)
    assert bench.run("backup", "acme-staging", *flags).returncode == code


def test_the_shrink_alarm_needs_no_key_to_encrypted_archives(bench: Bench) -> None:
    secret = {"JITSU_BACKUP_PASSPHRASE": "correct horse"}
    bench.run("backup", "acme-staging", **secret)
    bench.forget("destination", 1)
    assert bench.run("backup", "acme-staging", JITSU_BACKUP_PASSPHRASE="another one").returncode == 3


def test_prune_after_a_backup_keeps_to_the_workspaces_that_were_backed_up(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text(
        '[retention]\nkeep_last = 1\nkeep_label = []\ntime_zone = "Europe/Berlin"\n'
    )
    for _ in range(2):
        bench.run("backup", "--all", "--label", f"run-{len(bench.archives)}")
    assert len(bench.archives) == 4
    done = bench.run("backup", "acme-staging", "--prune")
    assert done.returncode == 0
    assert "2 old archives removed" in done.stdout
    assert sorted(archive.slug for archive in bench.archives) == ["acme-production"] * 2 + ["acme-staging"]
    flags = bench.run("backup", "acme-production", "--prune", "--keep-last", "2")
    assert "1 old archive removed" in flags.stdout


def test_prune_without_a_policy_is_refused_before_anything_is_read(bench: Bench) -> None:
    done = bench.run("backup", "acme-staging", "--prune")
    assert done.returncode == 2
    assert "empty policy" in done.stderr
    assert bench.archives == []


def test_of_several_workspaces_one_that_fails_is_named_and_the_others_are_done(bench: Bench) -> None:
    done = bench.run("backup", "acme-staging", "nobody", "acme-production")
    assert done.returncode == 3
    assert "jitsu-backup: nobody: " in done.stderr
    assert "3 workspaces: 2 backed up, 1 failed: nobody:" in done.stdout
    assert len(bench.archives) == 2
    assert bench.run("backup", "nobody", "no-one").returncode == 1


@pytest.mark.parametrize("shard", ["4/4", "x", "1", "-1/2", "0/0"])
def test_a_shard_that_is_none_is_refused(shard: str, bench: Bench) -> None:
    done = bench.run("backup", "--all", "--shard", shard)
    assert done.returncode == 2
    assert "--shard" in done.stderr


def test_every_workspace_is_in_one_shard_and_an_empty_shard_is_no_failure(bench: Bench) -> None:
    codes = [bench.run("backup", "--all", "--shard", f"{index}/5").returncode for index in range(5)]
    assert codes == [0] * 5
    assert sorted(archive.slug for archive in bench.archives) == ["acme-production", "acme-staging"]


def test_a_key_that_reads_no_workspace_is_reported_and_no_quiet_success(bench: Bench) -> None:
    for row in bench.state.workspaces.values():
        row.access.clear()
    done = bench.run("backup", "--all")
    assert done.returncode == 6
    assert "this key cannot read any workspace" in done.stderr


def test_an_archive_of_later_than_now_is_reported_and_the_backup_made(bench: Bench) -> None:
    folder = bench.folder / "jitsu-backups"
    folder.mkdir()
    future = f"acme-staging.{STAGING}.20990101T000000Z.0123456789ab.900_900stream.json.gz"
    (folder / future).write_bytes(b"x")
    bench.run("backup", "acme-staging", "--shrink-alarm", "1")
    bench.an_hour_passes()
    done = bench.run("-q", "backup", "acme-staging", "--if-changed")
    assert done.returncode == 0  # compared with what was there, not with what is to come
    assert "has an archive dated in the future" in done.stderr
    assert "unchanged" in done.stdout
    assert len(bench.archives) == 2
    assert bench.run("prune", "--keep-last", "1").returncode == 0
    assert len(bench.archives) == 2  # the one of the future takes no place of a true one


def test_an_open_alarm_outlives_every_policy_and_every_age(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.forget("destination", 0)
    assert bench.run("backup", "acme-staging").returncode == 3
    for archive in bench.archives:  # two months ago
        older = replace(archive, taken_at=archive.taken_at - timedelta(days=60))
        folder = bench.folder / "jitsu-backups"
        (folder / str(archive)).rename(folder / str(older))
    assert bench.run("backup", "acme-staging").returncode == 3
    assert bench.run("prune", "--keep-last", "1").returncode == 0
    assert [archive.sound for archive in bench.archives] == [True, False]
    assert bench.run("backup", "acme-staging", "--if-changed").returncode == 3


def test_many_small_types_that_go_together_are_an_alarm_too(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    for table in (bench.state.objects, bench.state.links, bench.state.builders):
        for row in table.values():
            row.deleted = row.workspace_id == STAGING and getattr(row, "type", "") not in (
                "destination",
                "push",
            )
    for row in bench.state.links.values():
        row.deleted = False
    done = bench.run("backup", "acme-staging")
    assert done.returncode == 3
    for gone in ("stream: 3 before, 0 now", "service: 1 before, 0 now", "misc: 1 before, 0 now"):
        assert f"SHRUNK  {gone}" in done.stdout


def test_what_was_packed_by_hand_is_no_backup_that_alarms_compare_with(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.an_hour_passes()
    bench.forget("destination", 1)
    assert bench.run("backup", "acme-staging").returncode == 3
    assert bench.run("unpack", "latest", "tree", "--redact").returncode == 0
    assert bench.run("unpack", "latest", "clear").returncode == 0
    packed = bench.run("pack", "clear")
    assert packed.returncode == 0
    assert "To restore it:\n  jitsu-backup restore acme-staging/" in packed.stdout
    assert bench.run("backup", "acme-staging", "--if-changed").returncode == 3


def test_after_a_clock_that_ran_ahead_the_alarm_is_given_again_and_again(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    (archive,) = bench.archives
    folder = bench.folder / "jitsu-backups"
    ahead = replace(archive, taken_at=archive.taken_at + timedelta(days=300))
    (folder / str(archive)).rename(folder / str(ahead))
    bench.forget("destination", 0)
    assert [bench.run("backup", "acme-staging", "--if-changed").returncode for _ in range(3)] == [3, 3, 3]


def test_a_workspace_that_has_shrunk_on_another_console_than_before_leads_to_recover(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.forget("destination", 1)
    with running(Sandbox(bench.state)) as elsewhere:
        done = bench.run("backup", "acme-staging", JITSU_HOST=elsewhere)
    assert done.returncode == 3
    before = bench.archives[0].reference
    assert f"{before}, is of console {bench.url}: if that console was lost" in " ".join(done.stderr.split())
    assert "jitsu-backup recover" in done.stderr
    assert "jitsu-backup restore" not in done.stderr


def test_a_workspace_that_has_shrunk_since_an_archive_that_cannot_be_opened_leads_to_both(
    bench: Bench,
) -> None:
    bench.env["JITSU_BACKUP_ENCRYPT_TO"] = str(pyrage.x25519.Identity.generate().to_public())
    bench.run("backup", "acme-staging")
    bench.forget("destination", 1)
    said = " ".join(bench.run("backup", "acme-staging").stderr.split())
    assert (
        "1 now; if this console replaces a lost one, run: jitsu-backup recover --identity FILE if not, see what is"
        " gone with:" in said
    )
    assert "then see what a restore brings back with: jitsu-backup restore acme-staging/" in said


def test_a_workspace_that_the_key_no_longer_sees_is_reported(bench: Bench) -> None:
    assert bench.run("backup", "--all").returncode == 0
    bench.state.workspaces[STAGING].access.clear()
    gone = bench.run("backup", "--all")
    assert gone.returncode == 3
    assert "acme-staging is in the store, but this key cannot see it" in gone.stderr
    assert "1 workspace no longer seen" in gone.stdout
    shards = [bench.run("backup", "--all", "--shard", f"{index}/3").returncode for index in range(3)]
    assert sorted(shards) == [0, 0, 3]  # told by the one that it belongs to
    assert bench.run("backup", "--all", "--allow-unseen", "acme-staging").returncode == 0
    assert bench.run("backup", "--all", "--allow-unseen", "another").returncode == 3
    (bench.folder / "jitsu-backup.toml").write_text('allow_unseen = ["*"]\n')
    assert bench.run("backup", "--all").returncode == 0


def test_an_empty_file_or_a_folder_with_an_archives_name_is_no_backup(bench: Bench) -> None:
    assert bench.run("backup", "acme-staging").returncode == 0
    (archive,) = bench.archives
    path = bench.folder / "jitsu-backups" / str(archive)
    path.write_bytes(b"")
    (path.parent / path.name.replace(archive.digest_prefix, "b" * 12)).mkdir()
    (path.parent / path.name.replace(archive.digest_prefix, "c" * 12)).symlink_to("nowhere")
    (listed,) = json.loads(bench.run("--json", "snapshots").stdout)["snapshots"]
    assert (listed["id"], listed["damaged"]) == (
        archive.digest_prefix,
        True,
    )  # its name says that it had something
    assert bench.run("show", "latest").returncode == 5
    bench.an_hour_passes()
    assert "unchanged" not in bench.run("backup", "acme-staging", "--if-changed").stdout


@pytest.mark.parametrize("text", ["", "# nobody yet\n"])
def test_recipients_that_are_none_never_mean_in_clear(text: str, bench: Bench) -> None:
    (bench.folder / "recipients").write_text(text)
    token = ("--admin-token", "service:admintoken")
    done = bench.run("backup", "acme-staging", "--encrypt-to", "recipients", *token)
    assert done.returncode == 2
    assert "contains no recipient" in done.stderr
    for variables in (
        {"JITSU_BACKUP_ENCRYPT_TO": ","}, {"JITSU_BACKUP_ENCRYPT_TO": ""}, {"JITSU_BACKUP_PASSPHRASE": ""},
    ):  # fmt: skip
        assert bench.run("backup", "acme-staging", **variables).returncode == 2
    for settings in ("encrypt_to = []", 'passphrase = {file = "recipients"}', 'passphrase = ""'):
        (bench.folder / "jitsu-backup.toml").write_text(
            settings if text == "" else "encrypt_to = ['recipients']"
        )
        assert bench.run("backup", "acme-staging").returncode == 2
    assert bench.archives == []


def test_with_new_keys_an_unchanged_workspace_is_written_again(bench: Bench) -> None:
    one, two = (str(pyrage.x25519.Identity.generate().to_public()) for _ in range(2))
    for recipients, count in (((one,), 1), ((one,), 1), ((two,), 2), ((one, two), 3), ((two, one), 3)):
        flags = [flag for each in recipients for flag in ("--encrypt-to", each)]
        assert bench.run("backup", "acme-staging", "--if-changed", *flags).returncode == 0
        bench.an_hour_passes()
        assert len(bench.archives) == count, recipients


def test_flags_of_a_policy_without_prune_are_refused(bench: Bench) -> None:
    done = bench.run("backup", "acme-staging", "--keep-daily", "3")
    assert done.returncode == 2
    assert "--keep-daily needs --prune" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--store", ""), "--store is empty"),
        (("--store", "s3:/bucket/x"), "two slashes"),
        (("--shrink-alarm", "nan"), "takes a number"),
        (("--deadline", "nan"), "is not a duration"),
        (("--retry-for", "soon"), "is not a duration"),
        (("--label", "x" * 40, "--label", "y" * 40), "80 characters in all"),
        (("--prune", "--keep-within", "9999y"), "not a time span"),
    ],
)
def test_what_would_quietly_do_something_else_is_refused(
    arguments: tuple[str, ...], words: str, bench: Bench
) -> None:
    done = bench.run("backup", "acme-staging", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert not list(bench.folder.iterdir())
