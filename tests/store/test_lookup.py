"""A SNAPSHOT reference means one archive, or the reply names the choices."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.store import find as find_archive, instead_of, names_archive, substitutes


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
    with pytest.raises(UsageError, match=r"write one of acme/latest, other/latest$"):
        find([ONE, twin, ELSEWHERE], "latest")


def test_a_workspace_whose_slug_changed_keeps_one_history() -> None:
    renamed = name(8, "abcd", slug="acme-new")
    assert find([ONE, renamed], "latest") == find([ONE, renamed], "acme/latest") == renamed


@pytest.mark.parametrize(
    "reference", ["", "aaa", "newest", "latest~", "latest~x", "latest~-1", "acme/", "xyzw"]
)
def test_what_is_no_reference_is_refused_as_usage(reference: str) -> None:
    with pytest.raises(UsageError, match="is not a snapshot"):
        find([ONE], reference)


def test_an_ambiguous_prefix_names_its_candidates() -> None:
    close = name(7, "aaaab"[:4], slug="acme").replace("aaaaaaaaaaaa", "aaaa00000000")
    with pytest.raises(UsageError, match=r"aaaa00000000, aaaaaaaaaaaa"):
        find([ONE, close], "aaaa")


def test_what_is_not_there_is_reported_with_what_is() -> None:
    with pytest.raises(BackupError, match="which is empty"):
        find([], "latest")
    with pytest.raises(BackupError, match="use one of acme"):
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


def test_in_place_of_a_damaged_archive_the_same_content_is_best_and_a_shrunk_one_is_the_last_resort() -> None:
    names = [name(1, "aaaa"), name(2, "bbbb", mark=".shrunk"), name(3, "cccc"), name(4, "cccc")]
    whole, shrunk, damaged, same = (found for found in map(parse_name, names) if found is not None)
    known = [shrunk, whole, damaged, same]
    assert [*substitutes(damaged, known)] == [same, whole, shrunk]
    words = [
        instead_of(damaged, other, newest=False).partition(";")[0] for other in substitutes(damaged, known)
    ]
    assert words == [
        f"use {same} of 2026-11-23 04:00:00 UTC, which has the same content",
        f"use {whole.reference} of 2026-11-23 01:00:00 UTC, the newest one before it that is undamaged and not shrunk",
        f"use {shrunk.reference} of 2026-11-23 02:00:00 UTC, the newest one before it that is undamaged, but marked shrunk",
    ]


def test_in_place_of_a_damaged_archive_one_without_most_of_its_entities_is_named_with_both_counts() -> None:
    damaged, few, most = (
        replace(found, total=total)
        for total, hour in ((23, 3), (0, 2), (20, 1))
        if (found := parse_name(name(hour, f"{hour:04}"))) is not None
    )
    assert "not shrunk, but it has 0 of the 23 entities" in instead_of(damaged, few, newest=False)
    assert "entities" not in instead_of(damaged, most, newest=False)


def test_an_id_means_the_backup_and_not_what_a_run_kept_of_the_same_content() -> None:
    backup, kept = name(2, "dddd", mark=".shrunk"), name(3, "dddd", mark=".pre-restore")
    assert find([backup, kept], "dddd") == backup


def test_a_date_before_all_archives_is_reported_with_the_oldest() -> None:
    with pytest.raises(
        BackupError, match=r"no snapshot from 2026-11-22 or before; the oldest is of 2026-11-23 01"
    ):
        find([ONE, TWO], "2026-11-22")
    with pytest.raises(UsageError, match="is not a date"):
        find([ONE], "2026-13-01")
    with pytest.raises(UsageError, match="acme/2026-11-23, other/2026-11-23"):
        find([ONE, ELSEWHERE], "2026-11-23")


def test_digits_alone_are_an_id_and_no_date() -> None:
    assert find([name(1, "2026")], "20262026") == name(1, "2026")


NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def day(
    day: int, digest: str, *, hour: int = 12, slug: str = "acme", workspace: str = "w1", mark: str = ""
) -> str:
    return f"{slug}.{workspace}.202611{day:02}T{hour:02}0000Z.{digest * 3}{mark}.json.gz"


def at_noon(names: list[str], reference: str) -> str:
    return str(
        find_archive([found for found in map(parse_name, names) if found is not None], reference, NOON)
    )


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("today", 25), ("0d", 25), ("1h", 24), ("1d", 24), ("24h", 24), ("1440min", 24), ("yesterday", 24),
        ("25h", 23), ("2d", 23), ("acme/2d", 23), ("w1/yesterday", 24), ("1w", 18), ("1mo", 1), ("20d", 1),
    ],
)  # fmt: skip
def test_a_relative_date_means_the_newest_that_is_not_of_later(reference: str, found: int) -> None:
    days = [1, 18, 23, 24, 25]
    names = {number: day(number, f"{number:04}") for number in days}
    names[1] = names[1].replace("202611", "202610")
    set_aside = day(24, "eeee", hour=18, mark=".pre-restore")
    future = day(26, "ffff", hour=23)
    assert at_noon([*names.values(), set_aside, future], reference) == names[found]


def test_a_relative_date_before_all_archives_is_reported_with_the_oldest() -> None:
    with pytest.raises(
        BackupError, match=r"no snapshot from 9d or before; the oldest is of 2026-11-24 12:00"
    ):
        at_noon([day(24, "aaaa")], "9d")
    with pytest.raises(UsageError, match="write 30min or 30mo"):
        at_noon([day(24, "aaaa")], "30m")
    with pytest.raises(UsageError, match="acme/7d, other/7d"):
        at_noon([day(1, "aaaa"), day(1, "bbbb", slug="other", workspace="w2")], "7d")


def test_a_workspace_alone_means_its_latest() -> None:
    names = [day(1, "aaaa"), day(2, "bbbb"), day(3, "cccc", slug="other", workspace="w2")]
    assert at_noon(names, "acme") == at_noon(names, "w1") == names[1]
    assert at_noon(names, "other") == names[2]
    with pytest.raises(UsageError, match="is not a snapshot"):
        at_noon(names, "acme/other")


def test_a_label_means_the_newest_that_has_it() -> None:
    before, after, newest = day(1, "aaaa", mark=".release"), day(2, "bbbb", mark=".release"), day(3, "cccc")
    assert at_noon([before, after, newest], "release") == at_noon([before, after], "acme/release") == after
    cut = day(4, "dddd", mark=".incomplete.release")
    assert at_noon([before, cut], "release") == before
    assert at_noon([cut, newest], "release") == cut
    packed = day(4, "dddd", mark=".packed.edited")
    assert at_noon([packed, newest], "edited") == packed
    elsewhere = day(3, "eeee", slug="other", workspace="w2", mark=".release")
    with pytest.raises(UsageError, match="acme/release, other/release"):
        at_noon([before, elsewhere], "release")
    assert at_noon([before, elsewhere], "other/release") == elsewhere


def test_marks_of_our_own_are_no_labels() -> None:
    with pytest.raises(UsageError, match="is not a snapshot"):
        at_noon([day(1, "aaaa", mark=".pre-restore"), day(2, "bbbb")], "pre-restore")


def test_latest_means_the_latest_whatever_has_that_name() -> None:
    names = [day(1, "aaaa", mark=".latest"), day(2, "bbbb", slug="latest", workspace="w1")]
    assert at_noon(names, "latest") == names[1]


@pytest.mark.parametrize(
    ("names", "reference", "told"),
    [
        ([day(1, "cafe"), day(2, "bbbb", mark=".cafe")], "cafe", "an id, acme/cafecafecafe; a label, acme/bbbbbbbbbbbb"),
        ([day(1, "aaaa", mark=".beta"), day(2, "bbbb", slug="beta", workspace="w2")], "beta",
         "a label, acme/aaaaaaaaaaaa; a workspace, beta/bbbbbbbbbbbb"),
        ([day(23, "aaaa"), day(25, "bbbb", mark=".yesterday")], "yesterday",
         "a date, acme/aaaaaaaaaaaa; a label, acme/bbbbbbbbbbbb"),
        ([day(1, "aaaa").replace("2026", "2025"), day(25, "100d")], "100d", "a date, acme/aaaaaaaaaaaa; an id, acme/100d100d100d"),
        ([day(25, "100d")], "100d", "a date, but the store has no snapshot from 100d or before"),
    ],
)  # fmt: skip
def test_a_word_with_several_meanings_is_refused_with_all_of_them(
    names: list[str], reference: str, told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        at_noon(names, reference)
    assert told in str(caught.value)
    assert str(caught.value).endswith("write the one that you want")


def test_what_is_nearly_a_name_is_reported() -> None:
    names = [day(1, "aaaa", mark=".before-upgrade"), day(2, "bbbb", slug="other", workspace="w2")]
    for slip, meant in (("othr", "other"), ("before-update", "before-upgrade"), ("lastest", "latest")):
        with pytest.raises(UsageError, match=f"did you mean '{meant}'"):
            at_noon(names, slip)


def test_only_an_id_or_a_file_name_always_means_the_same_archive() -> None:
    text = day(1, "aaaa", mark=".release")
    archive = parse_name(text)
    assert archive is not None
    for reference in ("aaaa", "acme/AAAA", "a" * 64, text, f"s3://bucket/{text}"):
        assert names_archive(reference, archive)
    for reference in ("latest", "latest~2", "acme", "acme/release", "7d", "2026-11-01", "bbbb"):
        assert not names_archive(reference, archive)
