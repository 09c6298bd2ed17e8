"""A name says what the archive is, and only our names are read as such."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from jitsu_backup.archive import (
    ArchiveName,
    archive_name,
    check_name,
    check_size,
    digest,
    is_label,
    parse_name,
)
from jitsu_backup.archive.filename import SHORT_TYPES
from jitsu_backup.catalogue import CATALOGUE
from jitsu_backup.errors import IntegrityError
from jitsu_backup.model import Snapshot
from tests.support import MOMENT, make_snapshot

OF_0_5_0 = re.compile(
    r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.\d{8}T\d{6}(\d{3})?Z\.[0-9a-f]{12}"
    r"(?:\.\d{1,9}(?:_\d{1,9}[a-z][a-z0-9-]*)*)?(?:\.[a-z][a-z0-9-]*)*\.json\.gz(?:\.age)?",
    re.ASCII,
)
words = st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True)
archive_names = st.builds(
    ArchiveName,
    slug=words,
    workspace_id=words,
    taken_at=st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
    digest_prefix=st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    total=st.none() | st.just(7),
    marks=st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), max_size=3).map(tuple),
)
sizes = st.integers(1, 10**12 - 1)
sketches = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)


def snapshot_named(slug: str | None, workspace_id: str = "w1") -> Snapshot:
    found = make_snapshot({}, workspace_id=workspace_id)
    source = replace(found.manifest.source, slug=slug)
    return replace(found, manifest=replace(found.manifest, source=source))


@given(archive_names)
def test_every_name_reads_back_as_it_was(name: ArchiveName) -> None:
    assert parse_name(str(name)) == name


@given(archive_names, sizes, sketches)
def test_a_name_with_a_size_reads_back_and_is_one_that_earlier_versions_read(
    name: ArchiveName, size: int, sketch: str
) -> None:
    sized = replace(name, total=7, size=size, sketch=sketch)
    assert parse_name(str(sized)) == sized
    assert OF_0_5_0.fullmatch(str(sized))
    assert sized.labels == name.labels


@pytest.mark.parametrize(
    ("segment", "size"),
    [("z12-0123456789abcdef", 12), ("z012-0123456789abcdef", None), ("z0-0123456789abcdef", None),
     ("z12-0123456789abcde", None), ("z1234567890123-0123456789abcdef", None), ("x.z12-0123456789abcdef", None)],
)  # fmt: skip
def test_a_size_has_one_spelling_and_one_place_and_is_no_label(segment: str, size: int | None) -> None:
    found = parse_name(f"a.b.20261123T190000Z.0123456789ab.7.{segment}.json.gz")
    assert found is not None
    assert found.size == size
    assert "z12-0123456789abcdef" not in found.labels
    assert not is_label("z12-0123456789abcdef")


def test_what_a_store_found_is_no_part_of_the_name_and_tells_what_is_damaged() -> None:
    name = replace(archive_name(snapshot_named("acme")), size=12, sketch="0" * 16)
    assert [replace(name, found=found).damaged for found in (None, 12, 11, 13)] == [False, False, True, True]
    assert replace(name, found=11) == name
    assert str(replace(name, found=11)) == str(name)
    assert not replace(name, found=11).complete
    assert not replace(archive_name(snapshot_named("acme")), found=11).damaged  # it does not say its size


def test_an_archive_that_was_cut_off_is_not_what_its_name_says() -> None:
    name = archive_name(snapshot_named("acme"), size=1000)
    check_size(name, 1000)
    with pytest.raises(IntegrityError, match="it has 999 bytes, but its name says 1,000"):
        check_size(name, 999)
    check_size(archive_name(snapshot_named("acme")), 999)


@given(st.none() | st.text(), st.text(min_size=1))
def test_whatever_a_workspace_is_called_its_name_is_a_safe_file_name(
    slug: str | None, workspace_id: str
) -> None:
    name = str(archive_name(snapshot_named(slug, workspace_id.encode("utf-8", "replace").decode())))
    assert parse_name(name) is not None
    assert not set(name) & set("/\\: \0\n")
    assert name[0] not in ".-"
    assert len(name) < 255


def test_a_name_carries_slug_workspace_time_digest_and_marks() -> None:
    snapshot = snapshot_named("acme")
    name = archive_name(snapshot, ("pre-restore",))
    assert str(name) == f"acme.w1.20261123T190000Z.{digest(snapshot)[:12]}.0.pre-restore.json.gz"
    assert name == ArchiveName("acme", "w1", MOMENT, digest(snapshot)[:12], ("pre-restore",), total=0)
    assert parse_name(str(name)) == name


def test_two_readings_of_one_second_have_an_order() -> None:
    readings = [
        replace(snapshot_named("acme"), taken_at=MOMENT.replace(microsecond=n)) for n in (0, 7_400, 987_654)
    ]
    names = [archive_name(reading) for reading in readings]
    assert [str(name).split("Z.")[0] for name in names] == [
        "acme.w1.20261123T190000", "acme.w1.20261123T190000007", "acme.w1.20261123T190000987",
    ]  # fmt: skip
    assert [parse_name(str(name)) for name in names] == names
    assert sorted(names, key=lambda name: name.sort_key) == names
    for name, reading in zip(names, readings, strict=True):
        check_name(name, replace(reading, taken_at=MOMENT))  # an archive itself says the second


def test_an_incomplete_snapshot_is_marked_so_once() -> None:
    found = snapshot_named("acme")
    cut = replace(found, manifest=replace(found.manifest, consistent=False))
    for marks in ((), ("incomplete",)):
        parsed = parse_name(str(archive_name(cut, marks)))
        assert parsed is not None
        assert parsed.marks == ("incomplete",)


@pytest.mark.parametrize("slug", [None, "", "/", "..", "日本"])
def test_a_slug_with_nothing_to_show_gives_way_to_the_id(slug: str | None) -> None:
    assert str(archive_name(snapshot_named(slug))).startswith("w1.w1.")


@pytest.mark.parametrize("mark", ["", "../x", "Upper", "a.b", "-x", "ä"])
def test_a_mark_that_is_none_is_refused(mark: str) -> None:
    with pytest.raises(ValueError, match="mark"):
        archive_name(snapshot_named("acme"), (mark,))


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "notes.txt", ".jitsu-backup-0123456789abcdef", "a.b.json.gz",
        "a.b.20261323T190000Z.0123456789ab.json.gz", "a.b.20261123T190060Z.0123456789ab.json.gz",
        "a.b.20261123T190000Z.0123456789ab.json.gz\n", "a.b.20261123T190000Z.0123456789AB.json.gz",
        "a.b.20261123T190000Z.0123456789ab.json", "../a.b.20261123T190000Z.0123456789ab.json.gz",
        ".a.b.20261123T190000Z.0123456789ab.json.gz", "a.b.٢٠٢٦1123T190000Z.0123456789ab.json.gz",
        "a.b.20261123T190000Z.0123456789ab.json.gz.part", "a.b.20261123T190000000Z.0123456789ab.json.gz",
        "a.b.20261123T19000012Z.0123456789ab.json.gz",
    ],
)  # fmt: skip
def test_a_foreign_name_is_none_of_ours(name: str) -> None:
    assert parse_name(name) is None


@given(st.text())
def test_reading_a_name_never_fails(name: str) -> None:
    found = parse_name(name)
    assert found is None or str(found) == name


def test_a_name_carries_the_number_of_entities_and_of_each_type_that_has_any() -> None:
    lists = {"stream": 5, "custom-image": 4, "link": 3, "Odd_Type": 6, "9th": 4, "service": 0}
    snapshot = make_snapshot(
        {name: [{"id": f"{name}{n}"} for n in range(count)] for name, count in lists.items()}
    )
    name = archive_name(snapshot)
    assert name.total == 22
    assert name.counts == {"custom-image": 4, "link": 3, "odd-type": 6, "stream": 5, "type-9th": 4}
    assert ".22_4custom-image_3link_6odd-type_5stream_4type-9th.json.gz" in str(name)
    assert parse_name(str(name)) == name


def test_a_name_of_before_counts_is_read_and_says_none() -> None:
    found = parse_name("a.b.20261123T190000Z.0123456789ab.json.gz")
    assert found is not None
    assert (found.total, found.counts) == (None, {})


def of_every_type(**extra: int) -> Snapshot:
    lists = {**dict.fromkeys(SHORT_TYPES, 1), "link": 120, **extra}
    return make_snapshot(
        {name: [{"id": f"{name}{n}"} for n in range(count)] for name, count in lists.items()}
    )


def test_the_short_forms_of_types_are_unique_complete_and_never_change() -> None:
    assert {*SHORT_TYPES} == {*CATALOGUE}
    assert list(SHORT_TYPES) == sorted(SHORT_TYPES)
    assert " ".join(SHORT_TYPES.values()) == "ci de do fu li mi mo no pb rs se st"
    assert len({*SHORT_TYPES.values()}) == len(SHORT_TYPES)


def test_a_name_that_would_be_too_long_counts_every_known_type_in_a_short_form() -> None:
    found = of_every_type()
    name = archive_name(found, ("shrunk", "key-phrase", "before-upgrade"), encrypted=True, size=3024)
    short = "types-1ci1de1do1fu120li1mi1mo1no1pb1rs1se1st"
    assert f".131.z3024-{name.sketch}.{short}.shrunk.key-phrase.before-upgrade.json.gz.age" in str(name)
    assert str(name).startswith("acme-staging.")
    assert len(str(name)) <= 255
    assert (name.unnamed, name.count_of("domain"), name.count_of("link")) == (0, 1, 120)
    assert parse_name(str(name)) == name
    assert name.labels == {"before-upgrade"}
    assert OF_0_5_0.fullmatch(str(name))
    assert not is_label(short)
    check_name(name, found)
    check_name(parse_name(str(name)) or name, found)
    with pytest.raises(IntegrityError):
        check_name(replace(name, counts={**name.counts, "domain": 2}), found)


def test_a_name_that_fits_spells_types_in_full() -> None:
    name = archive_name(make_snapshot({"link": [{"id": "l"}], "domain": [{"id": "d"}]}), encrypted=True)
    assert not name.short
    assert ".2_1domain_1link.json.gz.age" in str(name)


def test_types_that_only_another_version_knows_go_first_and_known_ones_stay() -> None:
    many = {f"type-{letter * 30}": 500 for letter in "abcdef"}
    name = archive_name(of_every_type(**many), ("key-phrase",), encrypted=True, size=3024)
    assert len(str(name)) <= 255
    assert SHORT_TYPES.keys() <= name.counts.keys()
    assert name.unnamed >= 500
    assert (name.count_of("domain"), name.count_of("type-" + "a" * 30)) == (1, None)
    assert parse_name(str(name)) == name


@pytest.mark.parametrize("label", ["types-9st", "types-01st", "types-1zz", "types-1st1de", "types-1st-x"])
def test_a_label_that_only_looks_like_counts_is_a_label(label: str) -> None:
    text = f"a.b.20261123T190000Z.0123456789ab.7.z12-0123456789abcdef.{label}.json.gz"
    name = parse_name(text)
    assert name is not None
    assert (name.marks, dict(name.counts), name.short, str(name)) == ((label,), {}, False, text)


def test_a_name_too_long_for_a_file_system_goes_without_the_smallest_counts() -> None:
    lists = {
        f"type-{letter * 20}": [{"id": f"{letter}{n}"} for n in range(4 + "abcdefghij".index(letter))]
        for letter in "abcdefghij"
    }
    found = make_snapshot(lists, workspace_id="w" * 80, slug="s" * 80)
    name = archive_name(found, ("label-" + "x" * 34,), encrypted=True)
    assert len(str(name)) <= 255
    assert len(str(replace(archive_name(found, name.marks, encrypted=True, size=10**12 - 1)))) <= 255 - len(
        ".accepted"
    )
    assert name.total == 85
    assert max(name.counts.values()) == 13
    assert parse_name(str(name)) == name
    check_name(name, found)


@pytest.mark.parametrize(
    "name",
    [
        "a.b.20261123T190000Z.0123456789ab.07.json.gz", "a.b.20261123T190000Z.0123456789ab.7_stream.json.gz",
        "a.b.20261123T190000Z.0123456789ab.9_5stream_4link.json.gz",
        "a.b.20261123T190000Z.0123456789ab.9_05stream.json.gz",
    ],
)  # fmt: skip
def test_counts_have_one_spelling_only(name: str) -> None:
    assert parse_name(name) is None


def test_an_archive_under_anothers_name_is_found_out() -> None:
    snapshot = snapshot_named("acme")
    name = archive_name(snapshot)
    check_name(name, snapshot)
    check_name(replace(name, total=None, marks=("nightly",), slug="renamed"), snapshot)
    for wrong in (
        replace(name, workspace_id="w2"), replace(name, digest_prefix="0" * 12), replace(name, total=3),
        replace(name, marks=("incomplete",)), replace(name, taken_at=MOMENT.replace(hour=3)),
        replace(name, size=100, sketch="1" * 16),
    ):  # fmt: skip
        with pytest.raises(IntegrityError, match="not what its name says"):
            check_name(wrong, snapshot)


@pytest.mark.parametrize(
    ("text", "fine"),
    [("before-upgrade", True), ("v2", True), ("x" * 40, True), ("x" * 41, False), ("", False), ("A", False),
     ("2nd", False), ("a.b", False), ("incomplete", False), ("pre-restore", False), ("shrunk", False)],
)  # fmt: skip
def test_a_label_is_lower_case_and_none_of_our_own_marks(text: str, fine: bool) -> None:
    assert is_label(text) is fine
