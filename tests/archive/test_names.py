"""A name says what the archive is, and only our names are read as such."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitsu_backup.archive import ArchiveName, digest, format_name, parse_name
from jitsu_backup.model import Snapshot
from tests.support import MOMENT, make_snapshot

words = st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True)
archive_names = st.builds(
    ArchiveName,
    slug=words,
    workspace_id=words,
    taken_at=st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=0)
    ),
    digest_prefix=st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    marks=st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), max_size=3).map(tuple),
)


def snapshot_named(slug: str | None, workspace_id: str = "w1") -> Snapshot:
    found = make_snapshot({}, workspace_id=workspace_id)
    source = replace(found.manifest.source, slug=slug)
    return replace(found, manifest=replace(found.manifest, source=source))


@given(archive_names)
def test_every_name_reads_back_as_it_was(name: ArchiveName) -> None:
    assert parse_name(str(name)) == name


@given(st.none() | st.text(), st.text(min_size=1))
def test_whatever_a_workspace_is_called_its_name_is_a_safe_file_name(
    slug: str | None, workspace_id: str
) -> None:
    name = format_name(snapshot_named(slug, workspace_id.encode("utf-8", "replace").decode()))
    assert parse_name(name) is not None
    assert not set(name) & set("/\\: \0\n")
    assert name[0] not in ".-"
    assert len(name) < 255


def test_a_name_carries_slug_workspace_time_digest_and_marks() -> None:
    snapshot = snapshot_named("acme")
    name = format_name(snapshot, ("pre-restore",))
    assert name == f"acme.w1.20261123T190000Z.{digest(snapshot)[:12]}.pre-restore.json.gz"
    assert parse_name(name) == ArchiveName("acme", "w1", MOMENT, digest(snapshot)[:12], ("pre-restore",))


def test_an_incomplete_snapshot_is_marked_so_once() -> None:
    found = snapshot_named("acme")
    cut = replace(found, manifest=replace(found.manifest, consistent=False))
    for marks in ((), ("incomplete",)):
        parsed = parse_name(format_name(cut, marks))
        assert parsed is not None
        assert parsed.marks == ("incomplete",)


@pytest.mark.parametrize("slug", [None, "", "/", "..", "日本"])
def test_a_slug_with_nothing_to_show_gives_way_to_the_id(slug: str | None) -> None:
    assert format_name(snapshot_named(slug)).startswith("w1.w1.")


@pytest.mark.parametrize("mark", ["", "../x", "Upper", "a.b", "-x", "ä"])
def test_a_mark_that_is_none_is_refused(mark: str) -> None:
    with pytest.raises(ValueError, match="mark"):
        format_name(snapshot_named("acme"), (mark,))


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "notes.txt", ".jitsu-backup-0123456789abcdef", "a.b.json.gz",
        "a.b.20261323T190000Z.0123456789ab.json.gz", "a.b.20261123T190060Z.0123456789ab.json.gz",
        "a.b.20261123T190000Z.0123456789ab.json.gz\n", "a.b.20261123T190000Z.0123456789AB.json.gz",
        "a.b.20261123T190000Z.0123456789ab.json", "../a.b.20261123T190000Z.0123456789ab.json.gz",
        ".a.b.20261123T190000Z.0123456789ab.json.gz", "a.b.٢٠٢٦1123T190000Z.0123456789ab.json.gz",
        "a.b.20261123T190000Z.0123456789ab.json.gz.part",
    ],
)  # fmt: skip
def test_a_foreign_name_is_none_of_ours(name: str) -> None:
    assert parse_name(name) is None


@given(st.text())
def test_reading_a_name_never_fails(name: str) -> None:
    found = parse_name(name)
    assert found is None or str(found) == name
