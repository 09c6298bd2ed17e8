"""What a weaker key read never takes the place of a better archive, and neither does what a clock gone wrong has dated."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import ACCEPTED, OPERATOR, WEAKER, ArchiveName, archive_name, check_name, parse_name
from jitsu_backup.archive.retention import judge, policy_of
from jitsu_backup.errors import IntegrityError
from jitsu_backup.operations.save import Saved, SaveOptions, save
from jitsu_backup.sandbox import State
from jitsu_backup.store import find, latest_of_each
from tests.support import ANALYST, recorded_snapshot, run
from tests.test_careful import ask, state

__all__ = ["ask", "state"]  # fixtures

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ADMIN = "service:admintoken"


def archive(hours_ago: float, digest: str, *marks: str) -> ArchiveName:
    moment = f"{NOW - timedelta(hours=hours_ago):%Y%m%dT%H%M%SZ}"
    found = parse_name(".".join(["acme", "w1", moment, digest * 12, *marks, "json.gz"]))
    assert found is not None
    return found


GOOD, OLDER, WEAK, SECRET, AHEAD = (
    archive(2, "a"), archive(3, "b"), archive(1, "c", WEAKER), archive(9, "d", OPERATOR), archive(-300, "e"),
)  # fmt: skip


@pytest.mark.parametrize("reference", ["latest", "acme/latest", "2026-11-25", "2999-01-01"])
def test_latest_and_dates_pass_over_what_a_weaker_key_read_and_what_is_of_the_future(reference: str) -> None:
    assert find([WEAK, GOOD, AHEAD, OLDER], reference, NOW) == GOOD
    assert latest_of_each([WEAK, GOOD, AHEAD, OLDER], NOW) == [GOOD]
    assert find([WEAK, AHEAD], reference, NOW) == WEAK


def test_clocks_that_differ_a_little_are_no_future() -> None:
    fast = archive(-0.05, "f")
    assert find([GOOD, fast], "latest", NOW) == fast
    (verdict, _) = judge([GOOD, fast], policy_of({"keep_last": 1}), NOW, UTC)
    assert verdict.reasons == ("the newest complete one", "last 1 of 1")


def kept(*archives: ArchiveName) -> set[str]:
    return {str(v.archive) for v in judge(archives, policy_of({"keep_last": 3}), NOW, UTC) if v.keep}


def test_what_each_kind_of_key_read_has_places_of_its_own_in_retention() -> None:
    hourly = [archive(n, digest) for n, digest in enumerate("123456789")]
    weak = [archive(n + 0.5, digest, WEAKER) for n, digest in enumerate("123456789")]
    better = {str(one) for one in (*hourly[:3], SECRET, AHEAD)}
    assert kept(*hourly, SECRET, AHEAD) == better
    assert kept(*hourly, *weak, SECRET, AHEAD) == better | {str(one) for one in weak[:3]}


def test_an_archive_that_says_of_itself_that_another_key_read_it_is_refused() -> None:
    snapshot = recorded_snapshot()
    plain = archive_name(snapshot)
    check_name(plain, snapshot)
    for mark in {WEAKER, OPERATOR} - set(plain.marks):
        with pytest.raises(IntegrityError, match="not what its name says"):
            check_name(replace(plain, marks=(mark, *plain.marks)), snapshot)


def names(folder: Path) -> list[ArchiveName]:
    found = [name for path in folder.iterdir() if (name := parse_name(path.name)) is not None]
    return sorted(found, key=lambda one: one.sort_key)


def test_a_backup_with_a_weaker_key_is_reported_until_a_better_one_reads_again_and_latest_stays(
    ask: Any, state: State, tmp_path: Path
) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    weak = ask("backup", "acme-staging", JITSU_APIKEY=ANALYST)
    assert weak.returncode == 3
    assert re.search(
        "acme-staging was read with a weaker key than before: [1-9] secret.* [(]the key's role: analyst[)]",
        weak.stderr,
    )
    for flags in ((), ("--if-changed",)):
        assert ask("backup", "acme-staging", *flags, JITSU_APIKEY=ANALYST).returncode == 3
    good, bad = names(tmp_path / "jitsu-backups")[:2]
    assert (good.key_class, bad.key_class) == (None, WEAKER)
    shown = ask("-q", "show", "latest")
    assert f"{bad.slug}/{names(tmp_path / 'jitsu-backups')[-1].digest_prefix}" in shown.stderr
    assert "was ignored: it was read with a weaker key" in shown.stderr
    assert ask("--json", "show", "latest").stdout == ask("--json", "show", good.digest_prefix).stdout
    only = ask("backup", "acme-staging", "--store", "other", "--new-store", JITSU_APIKEY=ANALYST)
    assert only.returncode == 0, only.stderr
    assert ask("backup", "acme-staging").returncode == 0
    assert "was ignored" not in ask("show", "latest").stderr


def test_what_a_weaker_key_reads_counts_from_where_somebody_has_accepted_it(ask: Any, tmp_path: Path) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    weak = ("backup", "acme-staging", "--if-changed")
    assert ask(*weak, JITSU_APIKEY=ANALYST).returncode == 3
    assert ask(*weak, "--accept-shrink", JITSU_APIKEY=ANALYST).returncode == 0
    accepted = names(tmp_path / "jitsu-backups")[-1]
    assert {WEAKER, ACCEPTED} == set(accepted.marks)
    assert ask(*weak, JITSU_APIKEY=ANALYST).returncode == 0
    shown = ask("--json", "show", "latest")
    assert shown.stdout == ask("--json", "show", str(accepted)).stdout
    assert "was ignored" not in shown.stderr
    assert ask("backup", "acme-staging").returncode == 0
    assert ask(*weak, JITSU_APIKEY=ANALYST).returncode == 3  # a better one has read since


def test_a_newer_incomplete_archive_that_latest_passes_over_is_reported_with_quiet_too(
    ask: Any, tmp_path: Path
) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    (good,) = names(tmp_path / "jitsu-backups")
    later = replace(good, taken_at=good.taken_at + timedelta(seconds=1), marks=("incomplete", *good.marks))
    (tmp_path / "jitsu-backups" / str(later)).write_bytes(b"x")
    told = ask("-q", "show", "latest")
    assert told.returncode == 0
    assert "is newer but was ignored: it is incomplete" in told.stderr


def test_what_the_operator_read_is_marked_and_stays(ask: Any, state: State, tmp_path: Path) -> None:
    assert ask("backup", "acme-staging", "--plaintext-secrets", JITSU_ADMIN_TOKEN=ADMIN).returncode == 0
    (first,) = names(tmp_path / "jitsu-backups")
    assert first.key_class == OPERATOR
    for number in range(3):
        state.objects["enrich-0001"].config["code"] = f"changed {number}"
        assert ask("backup", "acme-staging", "--prune", "--keep-last", "1").returncode == 0
    assert first in names(tmp_path / "jitsu-backups")


def test_an_archive_of_the_future_is_no_reason_to_write_none_now() -> None:
    snapshot = recorded_snapshot()
    own = archive_name(snapshot, size=1)
    put: list[ArchiveName] = []

    async def store(name: ArchiveName, _data: bytes) -> None:
        put.append(name)

    def saved(before: ArchiveName) -> Saved:
        options = SaveOptions(if_changed=True)
        done: Saved = run(save(snapshot, [before], options, lambda data: data, store))
        return done

    assert not saved(replace(own, taken_at=own.taken_at - timedelta(days=1))).written
    assert saved(replace(own, taken_at=own.taken_at + timedelta(days=400))).written
    assert len(put) == 1
