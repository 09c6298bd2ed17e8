"""The record of a clone reads back as it was written, is named so that it is found, and is no backup."""

from dataclasses import replace

import pytest

from jitsu_backup.archive import (
    CLONED,
    CLONING,
    archive_name,
    check_name,
    decode,
    digest,
    encode,
    from_tree,
    is_label,
    parse_name,
    source_mark,
    to_tree,
)
from jitsu_backup.errors import BackupError, IntegrityError
from jitsu_backup.model import CloneRecord, Key, Snapshot, Source, Tombstone
from tests.archive.test_codec import document, pack, refusal, small
from tests.support import FIXTURES, PRODUCTION, STAGING

HOST = "https://jitsu.example.com"
CLONE = CloneRecord(
    Source(HOST, PRODUCTION, "acme-production", role="owner"),
    pairs={Key("stream", "a"): "s1", Key("stream", "gone"): "s3", Key("destination", "d"): "d1"},
    write_keys={"k1": "k9"},
    overlay="0" * 64,
)


def record(**changes: object) -> Snapshot:
    snapshot = small()
    bases = {Key("stream", "s1"): {"id": "s1", "name": "Theirs"}, Key("stream", "s3"): {"id": "s3"}}
    return replace(
        snapshot, bases=bases, manifest=replace(snapshot.manifest, cloned=replace(CLONE, **changes))
    )


def test_a_record_reads_back_as_it_was_written() -> None:
    settled = {Key("stream", "s3"): Tombstone.BOTH, Key("destination", "d1"): Tombstone.SOURCE}
    others = record(pairs={}, write_keys={}, overlay=None), record(tombstones=settled)
    others += (record(former={Key("stream", "s0"): "s1"}),)
    others += (record(secrets={Key("destination", "d1"): ("password", "deep.token")}),)
    for one in (record(), *others, replace(record(), bases={})):
        assert decode(encode(one)) == one
        assert digest(decode(encode(one))) == digest(one) != digest(small())


def test_what_is_no_record_has_the_digest_that_it_had_before_there_were_records() -> None:
    found = document()
    assert "cloned" not in found["manifest"]
    assert "bases" not in found["content"]


def test_the_record_that_version_0_8_0_wrote_still_decodes() -> None:
    found = decode((FIXTURES / "archives" / "v3-record.json.gz").read_bytes())
    assert found == replace(record(), taken_at=found.taken_at)
    assert digest(found).startswith("b0c144e55a5f")


def test_bases_belong_to_a_record_and_each_body_to_its_key() -> None:
    with pytest.raises(BackupError, match="bases, but is not the record of a clone"):
        encode(replace(small(), bases=record().bases))
    with pytest.raises(BackupError, match="base's body has another id"):
        encode(replace(record(), bases={Key("stream", "s1"): {"id": "s2"}}))


@pytest.mark.parametrize(
    ("name", "value"), [("pairs", {"stream": {"a": ""}}), ("source", {}), ("write_keys", []), ("more", 1)]
)
def test_a_record_that_does_not_follow_the_schema_is_refused(name: str, value: object) -> None:
    forged = document(record())
    forged["manifest"]["cloned"][name] = value
    assert "does not follow its schema at manifest.cloned" in refusal(pack(forged))


def test_the_name_of_a_record_tells_its_source_and_that_it_is_no_backup() -> None:
    name = archive_name(record(), size=100)
    assert name.cloned_from == source_mark(HOST, PRODUCTION)
    assert name.marks == (CLONED, name.cloned_from)
    assert parse_name(str(name)) == name
    assert (name.set_aside, name.complete, name.labels) == (True, False, frozenset())
    assert not any(map(is_label, name.marks))
    assert source_mark(HOST, STAGING) != name.cloned_from != source_mark("https://other", PRODUCTION)


def test_an_archive_that_somebody_labelled_before_there_were_records_is_a_backup() -> None:
    name = archive_name(small())
    for label in (CLONED, CLONING, source_mark(HOST, PRODUCTION)):
        labelled = replace(name, marks=(label,))
        assert labelled.complete
        check_name(labelled, small())


def test_a_record_that_was_renamed_is_refused_and_so_is_a_backup_renamed_to_one() -> None:
    name, marks = archive_name(record()), archive_name(record()).marks
    check_name(name, record())
    other = (CLONED, source_mark(HOST, STAGING))
    for wrong, snapshot in (
        (replace(name, marks=()), record()),
        (replace(name, marks=marks[:1]), record()),
        (replace(name, marks=other), record()),
        (replace(archive_name(small()), marks=marks), small()),
    ):
        with pytest.raises(IntegrityError, match="not what its name says"):
            check_name(wrong, snapshot)


def test_unpacked_a_record_is_a_snapshot_of_the_target() -> None:
    assert from_tree(to_tree(record())) == small()
