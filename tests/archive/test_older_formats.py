"""What earlier versions left behind, a store or a folder, is read as what it is."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jitsu_backup.archive import (
    ArchiveName,
    archive_name,
    check_name,
    decode,
    encode,
    from_tree,
    least_changed,
    parse_name,
    to_tree,
)
from jitsu_backup.archive.shrinkage import falls_since, peaks, with_most
from jitsu_backup.errors import IntegrityError
from jitsu_backup.model import Refusal, Snapshot
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace, running
from tests.support import FIXTURES, MOMENT, STAGING, make_snapshot
from tests.unattended.workbench import Bench

DATA = (FIXTURES / "archives" / "v2-newest.json.gz").read_bytes()
OF_0_7_0 = (
    "acme-staging.cacmestaging0000000000001.20261125T103000Z.c3c9467a0738"
    ".9_4destination_1function_2link_1model_1stream.z1504-0000b80021040460.json.gz"
)
"""The name that version 0.7.0 gave this archive: it counted the reverse sync among the links."""


def named(text: str) -> ArchiveName:
    found = parse_name(text)
    assert found is not None
    return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    state = default_state(generation=Generation.NEWEST)
    example_workspace(state, STAGING)
    (tmp_path / "jitsu-backups").mkdir()
    (tmp_path / "jitsu-backups" / OF_0_7_0).write_bytes(DATA)
    with running(Sandbox(state, rate_limit=False)) as url:
        yield Bench(state, url, tmp_path)


def test_an_archive_is_what_the_name_says_that_its_own_version_gave_it() -> None:
    name, snapshot = named(OF_0_7_0), decode(DATA)
    check_name(name, snapshot)
    for wrong in (replace(name, sketch="1" * 16), replace(name, counts={**name.counts, "link": 1})):
        with pytest.raises(IntegrityError, match="not what its name says"):
            check_name(wrong, snapshot)


def test_a_store_that_an_earlier_version_filled_works_as_one_of_today(bench: Bench) -> None:
    newer = replace(decode(DATA), taken_at=decode(DATA).taken_at + timedelta(hours=1), older_digest="")
    data = encode(newer)
    name = archive_name(newer, size=len(data))
    for arguments in (
        ("show", "latest"), ("verify", "--all"), ("diff", "latest", "live:acme-staging"),
        ("restore", "latest", "--into", "acme-staging", "--dry-run", "--only", "stream"),
    ):  # fmt: skip
        done = bench.run(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    (bench.folder / "jitsu-backups" / str(name)).write_bytes(data)
    assert "no differences" in bench.run("diff", "latest~1", "latest").stdout
    assert bench.run("prune", "--keep-last", "1").returncode == 0
    assert [str(archive) for archive in bench.archives] == [str(name)]


def test_names_of_both_formats_tell_no_difference_where_there_is_none() -> None:
    today = archive_name(decode(DATA), size=len(DATA))
    assert today.counts != named(OF_0_7_0).counts
    assert least_changed(named(OF_0_7_0), today) == least_changed(today, named(OF_0_7_0)) == 0
    unsized = [replace(name, size=None, sketch=None) for name in (named(OF_0_7_0), today)]
    assert least_changed(*unsized) == 0
    assert least_changed(unsized[0], replace(unsized[1], counts={}, total=6)) == 3


def counted(day: int, **counts: int) -> ArchiveName:
    lists = {
        name.replace("_", "-"): [{"id": f"{name}{n}"} for n in range(count)] for name, count in counts.items()
    }
    return archive_name(replace(make_snapshot(lists), taken_at=MOMENT + timedelta(days=day)))


def test_the_archive_with_the_most_is_found_in_whichever_format_it_counts() -> None:
    window = [counted(2, link=3), counted(1, link=4, reverse_sync=5), counted(0, link=6, reverse_sync=1)]
    fallen = falls_since(window, {"link": 2}, 0.25)
    assert [str(fall) for fall in fallen] == ["link: 9 before, 2 now"]
    assert with_most(window, fallen) == window[1]
    assert all(archive in peaks(window) for archive in window)
    assert with_most(window[1:], falls_since(window[1:], {"link": 6}, 0.25)) == window[1]


def older_folder(snapshot: Snapshot) -> dict[str, bytes]:
    """The files that version 0.7.0 unpacked: reverse syncs among the links, and models of a type that it did not know."""
    files = {path.replace("reverse-sync/", "link/"): data for path, data in to_tree(snapshot).items()}
    manifest = json.loads(files["manifest.json"])
    manifest["types"].remove("reverse-sync")
    return files | {"manifest.json": json.dumps({**manifest, "generic": ["model"]}).encode()}


def test_a_folder_that_an_earlier_version_unpacked_keeps_its_reverse_syncs() -> None:
    snapshot = decode(DATA)
    assert from_tree(older_folder(snapshot)) == snapshot
    kept = [entity for entity in snapshot.entities if entity.key.type != "reverse-sync"]
    counts = {**snapshot.manifest.counts, "reverse-sync": 0}
    without = replace(snapshot, entities=tuple(kept), manifest=replace(snapshot.manifest, counts=counts))
    assert from_tree(older_folder(without)) == without


def test_a_folder_of_a_console_without_links_gets_no_reverse_syncs() -> None:
    snapshot = make_snapshot({"model": [], "stream": []}, refused=(Refusal("link", "no"),))
    assert from_tree(to_tree(snapshot)) == snapshot
