"""A SNAPSHOT reference means one archive, or the reply names the choices."""

from datetime import UTC, datetime

import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.store import find as find_archive


def find(names: list[str], reference: str) -> str:
    return str(find_archive([found for found in map(parse_name, names) if found is not None], reference, NOW))


def name(hour: int, digest: str, *, slug: str = "acme", workspace: str = "w1", mark: str = "") -> str:
    return f"{slug}.{workspace}.20261123T{hour:02}0000Z.{digest * 3}{mark}.json.gz"


NOW = datetime(2027, 1, 1, tzinfo=UTC)
ONE, TWO, THREE = name(1, "aaaa"), name(2, "aabb"), name(3, "cccc")
CUT = name(4, "dddd", mark=".incomplete")
ELSEWHERE = name(9, "eeee", slug="other", workspace="w2")


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("latest", THREE), ("latest~0", THREE), ("latest~1", TWO), ("latest~2", ONE), ("acme/latest", THREE),
        ("w1/latest~1", TWO), ("aaaa", ONE), ("AABB", TWO), ("dddd", CUT), ("acme/cccc", THREE), ("c" * 64, THREE),
    ],
)  # fmt: skip
def test_a_reference_means_one_archive(reference: str, found: str) -> None:
    assert find([THREE, CUT, ONE, "notes.txt", TWO], reference) == found


def test_latest_takes_an_incomplete_one_only_where_there_is_no_other() -> None:
    assert find([CUT], "latest") == CUT


def test_of_the_same_content_the_newest_is_meant() -> None:
    assert find([ONE, name(5, "aaaa")], "aaaa") == name(5, "aaaa")


def test_of_one_moment_the_last_name_is_the_latest() -> None:
    assert find([name(1, "bbbb"), ONE], "latest") == name(1, "bbbb")


def test_several_workspaces_need_a_name_before_latest() -> None:
    with pytest.raises(UsageError, match=r"acme/latest, other/latest"):
        find([ONE, ELSEWHERE], "latest")
    assert find([ONE, ELSEWHERE], "other/latest") == ELSEWHERE
    assert find([ONE, ELSEWHERE], "eeee") == ELSEWHERE


def test_workspaces_that_share_a_slug_are_told_apart_by_id() -> None:
    twin = name(2, "ffff", workspace="w9")
    with pytest.raises(UsageError, match=r"w1/latest, w9/latest"):
        find([ONE, twin], "acme/latest")
    assert find([ONE, twin], "w9/latest") == twin


def test_a_workspace_whose_slug_changed_keeps_one_history() -> None:
    renamed = name(8, "abcd", slug="acme-new")
    assert find([ONE, renamed], "latest") == find([ONE, renamed], "acme/latest") == renamed


@pytest.mark.parametrize(
    "reference", ["", "aaa", "newest", "latest~", "latest~x", "latest~-1", "acme/", "xyzw"]
)
def test_what_is_no_reference_is_refused_as_usage(reference: str) -> None:
    with pytest.raises(UsageError, match="is no snapshot"):
        find([ONE], reference)


def test_an_ambiguous_prefix_names_its_candidates() -> None:
    close = name(7, "aaaab"[:4], slug="acme").replace("aaaaaaaaaaaa", "aaaa00000000")
    with pytest.raises(UsageError, match=r"aaaa00000000, aaaaaaaaaaaa"):
        find([ONE, close], "aaaa")


def test_what_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(BackupError, match="which is empty"):
        find([], "latest")
    with pytest.raises(BackupError, match="it has: acme"):
        find([ONE], "nobody/latest")
    with pytest.raises(BackupError, match="aaaaaaaaaaaa"):
        find([ONE], "ffff")
    with pytest.raises(BackupError, match="only 1"):
        find([ONE], "latest~1")


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("2026-11-23", THREE), ("2026-11-24", THREE), ("acme/2026-11-23", THREE), ("2026-11-23T02", TWO),
        ("2026-11-23T02:00", TWO), ("2026-11-23T02:00:00Z", TWO), ("2026-11-23 01:59", ONE), ("20261123T010000Z", ONE),
        ("20261123T010000000Z", ONE), ("2026-11-23T01:59:59.999", ONE), ("2026-11-23T02:00:00.001Z", TWO),
    ],
)  # fmt: skip
def test_a_date_means_the_state_at_its_end(reference: str, found: str) -> None:
    before_restore = name(3, "9999", mark=".pre-restore")
    assert find([THREE, CUT, ONE, TWO, before_restore], reference) == found


def test_a_date_before_all_archives_is_told_with_the_oldest() -> None:
    with pytest.raises(
        BackupError, match=r"no snapshot of 2026-11-22 or before; the oldest is of 2026-11-23 01"
    ):
        find([ONE, TWO], "2026-11-22")
    with pytest.raises(UsageError, match="is no date"):
        find([ONE], "2026-13-01")
    with pytest.raises(UsageError, match="acme/2026-11-23, other/2026-11-23"):
        find([ONE, ELSEWHERE], "2026-11-23")


def test_digits_alone_are_an_id_and_no_date() -> None:
    assert find([name(1, "2026")], "20262026") == name(1, "2026")
