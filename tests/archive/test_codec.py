"""An archive reads back as it was written, or is refused with one clear line."""

import gzip
import json
import random
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from jitsu_backup.archive import codec, decode, digest, encode
from jitsu_backup.errors import BackupError, IntegrityError
from jitsu_backup.model import (
    MASK,
    Entity,
    Key,
    Manifest,
    Refusal,
    Snapshot,
    Source,
    canonical,
    content_digest,
    counts_by_type,
    masked_fields,
)
from tests import examples
from tests.support import FIXTURES, make_snapshot, recorded_snapshot

Edit = Callable[[dict[str, Any]], object]


def small() -> Snapshot:
    return make_snapshot(
        {
            "destination": [{"id": "d1", "name": "Wärehouse ☃", "password": MASK}],
            "link": [{"id": "l1", "fromId": "v1", "toId": "d1", "type": "sync"}],
            "service": [{"id": "v1", "credentials": {"keys": [{"ssh_key": MASK}]}}],
            "stream": [{"id": "s1"}, {"id": "s2"}],
            "misc": [],
        },
        cursors={"l1": {"public.users": '{"cursor": 1}'}},
        workspace={"id": "w"},
    )


def document(snapshot: Snapshot | None = None) -> dict[str, Any]:
    return json.loads(gzip.decompress(encode(snapshot or small())))


def pack(value: Any) -> bytes:
    return gzip.compress(value if isinstance(value, bytes) else canonical(value), mtime=0)


def signed(edit: Edit) -> bytes:
    """An archive that a forger changed and gave the right digest."""
    changed = document()
    edit(changed)
    changed["digest"] = content_digest({"content": changed["content"], "manifest": changed["manifest"]})
    return pack(changed)


def refusal(data: bytes) -> str:
    with pytest.raises(IntegrityError):
        decode(data, small())
    with pytest.raises(IntegrityError) as caught:
        decode(data)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert len(message) < 400
    return message


# -- round trip ----------------------------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | text | st.just(MASK),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    kinds = ["stream", "link", "destination", "odd/тип"]
    keys = draw(st.sets(st.tuples(st.sampled_from(kinds), text.filter(bool)), max_size=8))
    entities = tuple(
        Entity(Key(*key), {**draw(st.dictionaries(text, json_values, max_size=4)), "id": key[1]})
        for key in sorted(keys)
    )
    links = [entity.key.id for entity in entities if entity.key.type == "link"]
    optional = st.none() | text
    options = draw(st.dictionaries(text, json_values, max_size=2))
    refused = draw(st.lists(st.builds(Refusal, text, text, st.booleans()), max_size=3))
    return Snapshot(
        Manifest(
            Source(draw(text), draw(text.filter(bool)), *(draw(optional) for _ in range(4))),
            counts_by_type(entities, draw(st.sets(text))),
            refused=tuple(refused),
            not_offered=tuple(draw(st.lists(text, max_size=2))),
            generic=tuple(draw(st.lists(text, max_size=2))),
            ledger=masked_fields(entities, options),
            consistent=draw(st.booleans()),
        ),
        draw(moments),
        entities,
        cursors={
            link: draw(st.dictionaries(text, text, max_size=2)) for link in links if draw(st.booleans())
        },
        workspace=draw(st.dictionaries(text, json_values, max_size=2)),
        members=tuple(draw(st.lists(st.dictionaries(text, json_values, max_size=2), max_size=2))),
        options=options,
    )


@settings(deadline=None)
@given(snapshots())
def test_every_snapshot_reads_back_as_it_was_and_twice_gives_equal_bytes(snapshot: Snapshot) -> None:
    data = encode(snapshot)
    assert decode(data) == snapshot
    assert encode(decode(data)) == data
    assert digest(decode(data)) == digest(snapshot)


def test_equal_content_gives_one_digest_whenever_it_was_read_and_in_whatever_order() -> None:
    one = small()
    other = replace(one, taken_at=one.taken_at + timedelta(days=9), entities=one.entities[::-1])
    assert digest(one) == digest(other) == document(one)["digest"]
    assert encode(one) == encode(replace(one, entities=one.entities[::-1]))


def test_other_content_gives_another_digest() -> None:
    one = small()
    assert digest(one) != digest(replace(one, options={"a": 1}))
    assert digest(one) != digest(replace(one, manifest=replace(one.manifest, consistent=False)))


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    moment = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=3)))
    assert decode(encode(replace(small(), taken_at=moment))).taken_at == moment
    assert document(replace(small(), taken_at=moment))["run"]["taken_at"] == "2025-12-31T22:30:00Z"


def test_types_with_no_entity_are_in_the_counts_and_empty_in_the_content() -> None:
    found = document()
    assert found["manifest"]["counts"]["misc"] == 0
    assert found["content"]["entities"]["misc"] == []


def test_nesting_as_deep_as_is_written_reads_back() -> None:
    assert decode(encode(nested(230))) == nested(230)


def nested(levels: int) -> Snapshot:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return make_snapshot({"stream": [{"id": "s", "deep": value}]})


def test_the_archive_of_version_1_still_decodes() -> None:
    snapshot = decode((FIXTURES / "archives" / "v1.json.gz").read_bytes())
    assert replace(snapshot, taken_at=recorded_snapshot().taken_at) == recorded_snapshot()
    assert digest(snapshot).startswith("8801f7135f18")
    assert snapshot.manifest.ledger
    assert snapshot.cursors


def test_the_archive_of_version_2_still_decodes_with_its_secrets() -> None:
    snapshot = decode((FIXTURES / "archives" / "v2.json.gz").read_bytes())
    assert replace(snapshot, secrets={}, taken_at=recorded_snapshot().taken_at) == recorded_snapshot()
    assert snapshot.secrets[Key("stream", "web-site")] == {"publicKeys.js.k1.hash": "0123abcd.deadbeef"}
    assert digest(snapshot) != digest(recorded_snapshot())


def test_an_archive_of_version_2_from_a_newer_console_has_its_reverse_syncs_apart_and_keeps_its_digest() -> (
    None
):
    data = (FIXTURES / "archives" / "v2-newest.json.gz").read_bytes()
    older, newer = decode(data), decode((FIXTURES / "archives" / "v3.json.gz").read_bytes())
    assert older == newer
    assert [str(sync.key) for sync in older.of_type("reverse-sync")] == [
        "reverse-sync/retl-96cd1b1dcdbd48cba08de2de4f73ee79"
    ]
    assert all(link.body["type"] == "push" for link in older.of_type("link"))
    assert digest(older) == json.loads(gzip.decompress(data))["digest"] != digest(newer)


def test_a_secret_of_an_entity_that_is_not_there_is_refused() -> None:
    with pytest.raises(BackupError, match="secret of an entity"):
        encode(replace(small(), secrets={Key("destination", "gone"): {"password": "x"}}))


def test_ten_thousand_entities_are_read_within_seconds() -> None:
    many = make_snapshot({"stream": [{"id": f"s{i:05}", "a": {"b": [1, 2]}} for i in range(10_000)]})
    started = datetime.now(UTC)
    assert len(decode(encode(many)).entities) == 10_000
    assert (datetime.now(UTC) - started).total_seconds() < 10


def test_writing_imports_no_schema_library() -> None:
    code = "import sys, jitsu_backup.archive; print([m for m in ('jsonschema','httpx','click','rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- what is never written -------------------------------------------------------


@pytest.mark.parametrize(
    "snapshot",
    [
        make_snapshot({"stream": [{"id": "s", "value": object()}]}),
        make_snapshot({"stream": [{"id": "s", "value": 2**70}]}),
        make_snapshot({"stream": [{"id": "s", "value": "\ud800"}]}),
        make_snapshot({"stream": [{"id": "s", "map": {1: "x"}}]}),
        nested(260),
        nested(900),
        make_snapshot({"stream": [{"id": "s"}, {"id": "s"}]}),
        make_snapshot({"stream": [{"id": "s"}]}, cursors={"nowhere": {}}),
        replace(small(), entities=small().entities[:-1]),
        replace(small(), manifest=replace(small().manifest, ledger=())),
        replace(small(), entities=(*small().entities[:-1], Entity(Key("stream", "s2"), {"id": "s3"}))),
    ],
    ids=["object", "big", "surrogate", "key", "deep", "deeper", "twice", "cursor", "counts", "ledger", "id"],
)
def test_what_could_not_be_read_back_is_not_written(snapshot: Snapshot) -> None:
    with pytest.raises(BackupError) as caught:
        encode(snapshot)
    assert "\n" not in str(caught.value)


def test_a_digest_of_what_is_no_json_is_refused() -> None:
    with pytest.raises(BackupError, match="JSON"):
        digest(make_snapshot({"stream": [{"id": "s", "value": 2**70}]}))


def test_a_document_over_the_limit_is_neither_written_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(small())
    size = len(gzip.decompress(data))
    monkeypatch.setattr(codec, "MAX_DOCUMENT_BYTES", size)
    assert decode(encode(small())) == small()
    monkeypatch.setattr(codec, "MAX_DOCUMENT_BYTES", size - 1)
    with pytest.raises(BackupError, match="at most"):
        encode(small())
    assert "unpacks to more than" in refusal(data)


# -- what is refused ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"age-encryption.org/v1\n-> X25519", "age -d"),
        (b"PK\x03\x04", "not gzipped"),
        (b"{}", "not gzipped"),
        (b"\x1f", "not gzipped"),
        (b"\x1f\x8b", "cut short"),
        (b"\x1f\x8b" + b"\xff" * 30, "damaged"),
        (pack(b""), "not JSON"),
        (pack(b"hello"), "not JSON"),
        (pack(b"\xff\xfe"), "not JSON"),
        (pack(b'{"format": NaN}'), "not JSON"),
        (pack([]), "not an archive of jitsu-backup"),
        (pack({}), "not an archive of jitsu-backup"),
        (pack({"format": "other", "version": 1}), "not an archive of jitsu-backup"),
        (pack(b"[" * 100_000 + b"]" * 100_000), "too deeply"),
        (pack(b'{"format":"jitsu-backup","version":1,"a":' + b"[" * 500 + b"]" * 500 + b"}"), "too deeply"),
        (pack({"format": "jitsu-backup", "version": 99}), "version 99.*newer jitsu-backup"),
        (pack({"format": "jitsu-backup"}), "does not say which format version"),
        (pack({"format": "jitsu-backup", "version": 0}), "does not say which format version"),
        (pack({"format": "jitsu-backup", "version": "1"}), "does not say which format version"),
        (pack({"format": "jitsu-backup", "version": 1.0}), "does not say which format version"),
        (pack({"format": "jitsu-backup", "version": True}), "does not say which format version"),
        (pack({"format": "jitsu-backup", "version": 1}), "schema"),
    ],
)  # fmt: skip
def test_what_is_no_archive_is_refused_with_the_reason(data: bytes, words: str) -> None:
    message = refusal(data)
    assert re.search(words, message), message


def decode_in_both_ways(data: bytes) -> Snapshot:
    """Read an archive by itself, and beside a snapshot that was read before: nothing may differ."""
    try:
        beside: Snapshot | None = decode(data, small())
    except IntegrityError:
        beside = None
    try:
        found = decode(data)
    except IntegrityError:
        assert beside is None
        raise
    assert found == beside
    return found


def test_every_flipped_bit_is_refused_or_changes_nothing() -> None:
    data, snapshot = encode(small()), small()
    chance = random.Random(7)
    positions = {*range(30), *range(len(data) - 12, len(data)), *chance.sample(range(len(data)), 300)}
    for position in positions:
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            try:
                found = decode_in_both_ways(bytes(flipped))
            except IntegrityError:
                continue
            assert found == snapshot, (position, bit)


def test_every_changed_byte_of_the_document_is_refused_or_changes_nothing_but_the_run() -> None:
    raw = bytearray(gzip.decompress(encode(small())))
    for position in range(len(raw)):
        changed = raw.copy()
        changed[position] ^= 1
        try:
            found = decode_in_both_ways(pack(bytes(changed)))
        except IntegrityError:
            continue
        assert replace(found, taken_at=small().taken_at) == small(), position


def test_an_archive_cut_anywhere_is_refused() -> None:
    data = encode(small())
    for length in range(len(data)):
        refusal(data[:length])
    assert "cut short" in refusal(data[:-1])


@pytest.mark.parametrize("extra", [b"\0", b"\0" * 512, b"x" * 200_000, encode(small())])
def test_bytes_behind_the_end_are_refused(extra: bytes) -> None:
    assert "extra data" in refusal(encode(small()) + extra)


def test_trailing_bytes_are_seen_when_the_member_ends_at_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(small())
    monkeypatch.setattr(codec, "_IN_STEP", len(data))
    assert decode(data) == small()
    assert "extra data" in refusal(data + b"x")


@pytest.mark.parametrize(("step_in", "step_out"), [(1, 1), (7, 3), (64, 1), (10_000, 5)])
def test_steps_of_any_size_read_the_same(
    step_in: int, step_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "_IN_STEP", step_in)
    monkeypatch.setattr(codec, "_OUT_STEP", step_out)
    assert decode(encode(small())) == small()


def test_a_gzip_bomb_is_refused_without_the_memory_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_DOCUMENT_BYTES", 4 * 1024 * 1024)
    bomb = gzip.compress(b"\0" * 200 * 1024 * 1024, 1)
    tracemalloc.start()
    try:
        assert "unpacks to more than 4,194,304 bytes" in refusal(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 1024 * 1024


def test_a_key_named_twice_is_refused_wherever_it_stands() -> None:
    raw = gzip.decompress(encode(small()))
    for old, new in (
        (b'"complete":true', b'"complete":false,"complete":true'),
        (b'{"id":"s1"', b'{"id":"s9","id":"s1"'),
        (b'"format":', b'"format":"x","format":'),
        (b'"public.users":', b'"public.users":"","public.\\u0075sers":'),
    ):
        assert raw.count(old) == 1
        assert "twice" in refusal(pack(raw.replace(old, new)))


def test_another_spelling_of_the_same_document_is_read() -> None:
    assert decode(pack(json.dumps(document(), indent=2, ensure_ascii=True).encode())) == small()


def test_an_edited_entity_with_the_old_digest_is_refused() -> None:
    changed = document()
    changed["content"]["entities"]["stream"][0]["name"] = "forged"
    assert "does not match its digest" in refusal(pack(changed))


def test_an_edited_complete_flag_with_the_old_digest_is_refused() -> None:
    changed = document()
    changed["manifest"]["complete"] = False
    assert "does not match its digest" in refusal(pack(changed))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d["manifest"].update(complete=False), "complete"),
        (lambda d: d["manifest"].update(consistent=False), "complete"),
        (lambda d: d["manifest"]["refused"].append({"what": "x", "reason": "y", "missing": True}), "complete"),
        (lambda d: d["manifest"]["counts"].update(stream=3), "counts"),
        (lambda d: d["manifest"]["counts"].update(other=0), "counts"),
        (lambda d: d["content"]["entities"].update(other=[]), "counts"),
        (lambda d: d["manifest"]["counts"].pop("misc"), "counts"),
        (lambda d: d["manifest"].update(ledger=[]), "ledger"),
        (lambda d: d["manifest"]["ledger"].reverse(), "ledger"),
        (lambda d: d["content"]["entities"]["stream"].append({"id": "s1"}), "twice"),
        (lambda d: d["content"]["entities"]["stream"].reverse(), "sorted"),
        (lambda d: d["content"]["cursors"].update(l2={}), "cursor"),
        (lambda d: d["content"]["cursors"].update(s1={}), "cursor"),
        (lambda d: d["content"]["cursors"].update(l1={"a": 1}), r"schema at content\.cursors\.l1\.a"),
        (lambda d: d["content"]["entities"]["stream"].append({}), "schema"),
        (lambda d: d["content"]["entities"]["stream"].append({"id": ""}), "schema"),
        (lambda d: d["content"]["entities"]["stream"].append("s3"), "schema"),
        (lambda d: d["manifest"]["source"].update(extra=1), "schema"),
        (lambda d: d["run"].update(taken_at="yesterday"), "schema"),
        (lambda d: d["run"].update(taken_at="2026-13-40T00:00:00Z"), "time"),
        (lambda d: d.update(more=1), "schema"),
    ],
)  # fmt: skip
def test_a_forgery_with_the_right_digest_is_refused_where_it_contradicts_itself(
    edit: Edit, words: str
) -> None:
    message = refusal(signed(edit))
    assert re.search(words, message), message


def test_no_secret_is_in_a_message() -> None:
    changed = document()
    changed["content"]["entities"]["service"][0] = "canary-secret"
    assert "canary" not in refusal(pack(changed))


def test_an_older_version_is_checked_as_it_was_and_then_upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade(old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "version": 4, "run": {**old["run"], "taken_at": "2000-01-01T00:00:00Z"}}

    data, forged = encode(small()), document()
    forged["content"]["options"]["x"] = 1
    monkeypatch.setattr(codec, "VERSION", 4)
    monkeypatch.setattr(codec, "UPGRADES", {3: upgrade})
    assert decode(data) == replace(small(), taken_at=datetime(2000, 1, 1, tzinfo=UTC))
    assert "digest" in refusal(pack(forged))


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=200).map(pack) | json_values.map(pack))
def test_whatever_the_bytes_only_an_integrity_error_comes_out(data: bytes) -> None:
    refusal(data)
