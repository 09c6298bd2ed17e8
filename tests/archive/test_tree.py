"""A snapshot as a tree of files: it reads back as it was, whatever is in it, and no name leaves the folder."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from jitsu_backup.archive import decode, digest, encode, from_tree, left_out, to_tree, tree_layout
from jitsu_backup.archive.tree_layout import own_files
from jitsu_backup.archive.tree_settling import settled
from jitsu_backup.catalogue import CATALOGUE
from jitsu_backup.errors import BlockedError, IntegrityError
from jitsu_backup.model import MASK, Entity, Key, Refusal, Snapshot, counts_by_type, masked_fields
from tests import examples
from tests.archive.test_codec import json_values, moments, text
from tests.support import MOMENT, make_snapshot, recorded_snapshot

HOSTILE = (
    "", ".", "..", "../../etc/passwd", "/etc/passwd", "C:\\Windows", "..\\up", "CON", "con", "nul.txt", "LPT1", "aux.", "a. ",
    " ", "-", "--", "A", "a", "Ä", "ä", "a\0b", "a\nb", "a/b", "manifest.json", "README.md", ".git", ".git/hooks/post-commit",
    "~root", "$HOME", "*", "x" * 300, "X" * 300, "日本語", "🦊", "\u202ertl", "a--b", "a-1a2b3c", "K", "İ", "stream", "Stream",
    "--upload-pack=x", "%2e%2e%2f", "e\u0301", "é",
)  # fmt: skip
hostile = st.sampled_from(HOSTILE) | text
marks: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"$file": "x.js"},
        {"$file": 1},
        {"$value": "x"},
        {"$value": {"$file": "../x.js"}},
        {"$file": "a", "b": 1},
    ]
)
code = st.sampled_from(["", "\r\n", "a\rb", "no end", "\ufeffbom", "\0", "x\n"]) | text | json_values | marks
configs = st.fixed_dictionaries({}, optional={"code": code, "draft": code, "kind": json_values})
owned = st.fixed_dictionaries(
    {}, optional={"function": st.fixed_dictionaries({"config": configs | json_values}) | json_values}
)


@st.composite
def bodies(draw: st.DrawFn, type_name: str, ids: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = draw(st.dictionaries(text, json_values, max_size=2))
    if draw(st.booleans()):
        body["name"] = draw(hostile | json_values)
    if type_name == "function":
        body |= draw(configs)
    if type_name == "profile-builder":
        body |= {"functions": draw(st.lists(owned | json_values, max_size=3) | json_values)}
    if type_name == "link":
        ends = st.sampled_from([*ids, "gone"]) | hostile
        body |= draw(st.fixed_dictionaries({}, optional={"fromId": ends, "toId": ends | json_values}))
    return body


@st.composite
def hostile_snapshots(draw: st.DrawFn) -> Snapshot:
    types = st.sampled_from(["stream", "function", "profile-builder", "link", "destination"]) | hostile
    keys = sorted(draw(st.sets(st.tuples(types, hostile.filter(bool)), max_size=8)))
    ids = [entity_id for _, entity_id in keys]
    entities = tuple(
        Entity(Key(name, entity_id), {**draw(bodies(name, ids)), "id": entity_id}) for name, entity_id in keys
    )
    begun = make_snapshot({}, workspace_id=draw(hostile.filter(bool)), slug=draw(hostile))
    links = [key[1] for key in keys if key[0] == "link"]
    options = draw(st.dictionaries(text, json_values, max_size=2))
    return replace(
        begun,
        manifest=replace(
            begun.manifest,
            counts=counts_by_type(entities, draw(st.sets(types, max_size=3))),
            ledger=masked_fields(entities, options),
            refused=tuple(draw(st.lists(st.builds(Refusal, text, text, st.booleans()), max_size=2))),
            not_offered=tuple(draw(st.lists(text, max_size=2))),
            generic=tuple(draw(st.lists(text.filter(lambda name: name not in CATALOGUE), max_size=2))),
            consistent=draw(st.booleans()),
        ),
        taken_at=draw(moments),
        entities=entities,
        cursors={link: draw(st.dictionaries(text, text, max_size=2)) for link in links if draw(st.booleans())},
        workspace=draw(st.dictionaries(text, json_values, max_size=2)),
        members=tuple(draw(st.lists(st.dictionaries(text, json_values, max_size=2), max_size=2))),
        options=options,
        secrets={
            entity.key: draw(st.dictionaries(text, text | st.integers(0, 9), max_size=2))
            for entity in entities if draw(st.booleans())
        },
    )  # fmt: skip


@settings(deadline=None, max_examples=examples(300))
@given(hostile_snapshots())
@example(recorded_snapshot())
def test_unpacked_and_packed_a_snapshot_is_as_it_was_with_the_same_digest(snapshot: Snapshot) -> None:
    files = to_tree(snapshot)
    back = from_tree(files)
    assert back == snapshot
    assert digest(back) == digest(snapshot)
    assert encode(back) == encode(snapshot)
    assert decode(encode(back)) == snapshot
    assert left_out(files, back) == ()


@settings(deadline=None, max_examples=examples(300))
@given(hostile_snapshots())
def test_no_name_leaves_the_folder_is_reserved_too_long_or_the_same_as_another_but_for_case(
    snapshot: Snapshot,
) -> None:
    paths = list(to_tree(snapshot))
    assert len({path.lower() for path in paths}) == len(paths)
    folders = {path.partition("/")[0] for path in paths if "/" in path}
    assert folders.isdisjoint(path for path in paths if "/" not in path)
    for path in paths:
        parts = path.split("/")
        assert len(parts) <= 2
        for part in parts:
            assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9_-]|[a-z]", part, re.ASCII), part
            assert len(part) < 200
            assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part), part


@settings(deadline=None)
@given(hostile_snapshots(), st.randoms())
def test_equal_snapshots_give_equal_trees_whenever_they_were_taken_and_every_file_is_known_as_ours(
    snapshot: Snapshot, dice: Any
) -> None:
    files = to_tree(snapshot)
    mixed = [Entity(e.key, dict(dice.sample(sorted(e.body.items()), len(e.body)))) for e in snapshot.entities]
    again = to_tree(replace(snapshot, entities=tuple(mixed)))
    assert list(again.items()) == list(files.items())
    later = to_tree(replace(snapshot, taken_at=MOMENT))
    assert later.keys() == files.keys()
    assert {path for path in files if files[path] != later[path]} <= {"run.json"}
    assert own_files(files) == set(files)


@settings(deadline=None)
@given(hostile_snapshots())
def test_a_redacted_tree_is_never_packed_and_holds_no_secrets_that_the_token_read(snapshot: Snapshot) -> None:
    files = to_tree(snapshot, redacted=True)
    assert "secrets.json" not in files
    with pytest.raises(BlockedError, match="--redact"):
        from_tree(files)


def test_known_secrets_are_not_in_a_redacted_tree() -> None:
    snapshot = make_snapshot(
        {
            "destination": [
                {"id": "d", "url": "https://u:CANARY@h/", "headers": ["X: CANARY"], "password": MASK}
            ],
            "link": [{"id": "l", "fromId": "s", "toId": "d", "data": {"functionsEnv": {"A": "CANARY"}}}],
        },
        workspace={"id": "w", "apiToken": "CANARY"},
    )
    secret = replace(snapshot, secrets={Key("destination", "d"): {"password": "CANARY"}})
    assert b"CANARY" in b"".join(to_tree(secret).values())
    hidden = to_tree(secret, redacted=True)
    assert b"CANARY" not in b"".join(hidden.values())
    assert MASK.encode() in b"".join(hidden.values())


# -- names ---------------------------------------------------------------------


def workspace() -> dict[str, list[dict[str, Any]]]:
    return {
        "destination": [{"id": "d1", "name": "Warehouse"}],
        "function": [{"id": "f1", "name": "Enrich", "code": "x\r\n", "draft": "y"}],
        "link": [{"id": "l1", "fromId": "s1", "toId": "d1", "type": "sync"}, {"id": "l2", "fromId": "gone", "toId": "d1"}],
        "misc": [],
        "stream": [{"id": "s1", "name": "Web site"}],
    }  # fmt: skip


def unpacked(**changes: list[dict[str, Any]]) -> dict[str, bytes]:
    return to_tree(make_snapshot({**workspace(), **changes}, cursors={"l1": {"users": "{}"}}))


def test_files_are_named_by_type_and_slug_and_links_by_their_ends() -> None:
    names = [re.sub(r"-[0-9a-f]{6}\.", ".", path) for path in unpacked() if "/" in path]
    assert names == [
        "destination/warehouse.json", "function/enrich.draft.js", "function/enrich.js", "function/enrich.json",
        "link/gone--warehouse.json", "link/web-site--warehouse.json", "stream/web-site.json",
    ]  # fmt: skip


def test_code_stands_byte_for_byte_in_its_own_file() -> None:
    files = unpacked()
    contents = {re.sub(r"-[0-9a-f]{6}\.", ".", path): data for path, data in files.items()}
    assert (contents["function/enrich.js"], contents["function/enrich.draft.js"]) == (b"x\r\n", b"y")
    assert b'"code": {\n    "$file": "enrich-' in contents["function/enrich.json"]


def test_every_function_of_a_builder_has_its_own_file() -> None:
    functions = [{"function": {"config": {"code": code, "draft": f"{code}{code}"}}} for code in "ab"]
    files = to_tree(make_snapshot({"profile-builder": [{"id": "p", "name": "P", "functions": functions}]}))
    code = {path.partition(".")[2]: data for path, data in files.items() if path.endswith(".js")}
    assert code == {"js": b"a", "draft.js": b"aa", "2.js": b"b", "2.draft.js": b"bb"}


def test_a_file_keeps_its_name_whatever_else_comes_goes_or_is_renamed() -> None:
    before = set(unpacked())
    others = [{"id": f"s{n}", "name": "Web site"} for n in range(1, 300)]
    assert before < set(unpacked(stream=others))
    renamed = set(unpacked(function=[{**workspace()["function"][0], "name": "Other"}]))
    assert {path for path in before ^ renamed if not path.startswith("function/")} == set()


def test_where_hashes_collide_more_of_them_stands_in_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tree_layout._hash
    monkeypatch.setattr(tree_layout, "_hash", lambda text: "0" * 12 + real(text)[12:])
    snapshot = make_snapshot(
        {"stream": [{"id": "a", "name": "N"}, {"id": "b", "name": "N"}], "Odd": [], "odd": [], "ODD": []}
    )
    files = to_tree(snapshot)
    assert (
        sorted(len(path) for path in files if path.startswith("stream/n-"))
        == [len("stream/n-.json") + 24] * 2
    )
    assert from_tree(files) == snapshot


def test_ten_thousand_entities_of_one_name_have_names_of_their_own() -> None:
    snapshot = make_snapshot({"stream": [{"id": f"s{n}", "name": "same"} for n in range(10_000)]})
    files = to_tree(snapshot)
    assert sum(path.startswith("stream/") for path in files) == 10_000
    assert from_tree(files) == snapshot


# -- edited --------------------------------------------------------------------


def path_of(files: dict[str, bytes], pattern: str) -> str:
    (found,) = (path for path in files if re.fullmatch(pattern, path))
    return found


ENRICH, WEB_SITE, SYNC = r"function/enrich-\w+\.json", r"stream/web-.*", r"link/web-.*"


def test_added_edited_and_deleted_files_are_what_the_snapshot_then_holds() -> None:
    files = unpacked()
    files["stream/mine.json"] = b'{"id": "s2", "name": "Mine", "secret": "__MASKED_BY_JITSU__"}'
    files["function/new.json"] = b'{"id": "f2", "code": {"$file": "new.js"}}'
    files["function/new.js"] = "größer".encode()
    files["misc/inline.json"] = b'{"id": "m", "code": "in the JSON"}'
    files[path_of(files, r"function/enrich-\w+\.js")] = b"edited"
    del files[path_of(files, SYNC)]
    found = from_tree(files)
    assert found.manifest.counts == {"destination": 1, "function": 2, "link": 1, "misc": 1, "stream": 2}
    assert [line.id for line in found.manifest.ledger] == ["s2"]
    assert [e.body.get("code") for e in found.of_type("function")] == ["edited", "größer"]
    assert found.cursors == {}
    assert left_out(files, found) == (
        "cursors.json refers to 1 entity without a file; that part is left out",
    )
    assert decode(encode(found)) == found


def test_a_type_may_be_added_by_its_folder_where_the_catalogue_knows_it_and_by_the_manifest_where_not() -> (
    None
):
    files = unpacked()
    files["service/crm.json"] = b'{"id": "v"}'
    assert from_tree(files).manifest.counts["service"] == 1
    files["probe/p.json"] = b'{"id": "p"}'
    assert "types" in refusal(files)
    manifest = json.loads(files["manifest.json"])
    files["manifest.json"] = json.dumps({**manifest, "types": [*manifest["types"], "probe"]}).encode()
    assert from_tree(files).manifest.counts["probe"] == 1


def test_an_incomplete_snapshot_stays_incomplete() -> None:
    snapshot = make_snapshot({}, refused=(Refusal("stream", "no"),))
    files = to_tree(snapshot)
    assert not from_tree(files).manifest.complete
    files["manifest.json"] = files["manifest.json"].replace(
        b'"consistent"', b'"complete": true, "consistent"'
    )
    assert "manifest.json" in refusal(files)


def test_what_git_and_people_keep_beside_is_ignored() -> None:
    files = unpacked()
    more = {
        ".gitignore": b"",
        ".gitattributes": b"",
        ".github/x.yml": b"",
        "README.md": b"ours",
        "link/.keep": b"",
    }
    assert from_tree({**files, **more}) == from_tree(files)


def refusal(files: dict[str, bytes]) -> str:
    with pytest.raises(IntegrityError) as caught:
        from_tree(files)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert "CANARY" not in message
    return message


def edit(pattern: str, change: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], None]:
    def apply(files: dict[str, bytes]) -> None:
        path = path_of(files, pattern)
        files[path] = change(files[path])

    return apply


def put(path: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.update({path: data})


def drop(pattern: str) -> Callable[[dict[str, bytes]], None]:
    def apply(files: dict[str, bytes]) -> None:
        del files[path_of(files, pattern)]

    return apply


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edit(WEB_SITE, lambda d: b"["), r"stream/web-site-\w+\.json is not JSON"),
        (edit(WEB_SITE, lambda d: b"<<<<<<< HEAD CANARY\n" + d), r"stream/web-site-\w+\.json is not JSON"),
        (edit(WEB_SITE, lambda d: b"[]"), r"stream/web-site-\w+\.json is not a JSON object"),
        (edit(WEB_SITE, lambda d: b"{}"), r"stream/web-site-\w+\.json has no id"),
        (edit(WEB_SITE, lambda d: b'{"id": ""}'), "has no id"),
        (edit(WEB_SITE, lambda d: b'{"id": 5}'), "has no id"),
        (edit(WEB_SITE, lambda d: b'{"id": "a", "b": {"c": 1, "c": 2}}'), "key 'c' twice"),
        (edit(WEB_SITE, lambda d: b'{"id": "\\ud800"}'), "is not JSON"),
        (edit(WEB_SITE, lambda d: b'{"id": "a", "b": 1e999}'), "is not JSON"),
        (edit(WEB_SITE, lambda d: b'{"id": "a", "b": NaN}'), "is not JSON"),
        (edit(WEB_SITE, lambda d: b'{"id": "a", "b": %s}' % (b"[" * 500 + b"]" * 500)), "too deeply"),
        (edit(WEB_SITE, lambda d: b"[" * 5000 + b"]" * 5000), r"stream/web-site-\w+\.json"),
        (put("stream/two.json", b'{"id": "s1"}'), r"stream/web-site-\w+\.json has the same id as stream/two\.json"),
        (put("stray.txt", b""), r"stray\.txt is an unexpected file"),
        (put("extra.json", b"{}"), r"extra\.json is an unexpected file"),
        (put("readme.md", b""), r"readme\.md is an unexpected file"),
        (put("no\nline", b""), r"'no\\nline' is an unexpected file"),
        (put("probe/a.json", b'{"id": "a"}'), r"probe/a\.json is in a folder of an unknown type"),
        (put("Stream/a.json", b'{"id": "a"}'), r"Stream/a\.json is in a folder"),
        (put("stream/a/b.json", b'{"id": "a"}'), r"stream/a/b\.json is neither"),
        (put("stream/a.json~", b""), r"stream/a\.json~ is neither"),
        (put("stream/a.js", b""), r"stream/a\.js holds code to which no \.json"),
        (drop(ENRICH), r"function/enrich-\w+\.draft\.js holds code to which no \.json"),
        (drop(r"function/enrich-\w+\.js"), r"function/enrich-\w+\.json refers to a file at code that is not in the same folder"),
        (edit(r"function/enrich-\w+\.js", lambda d: b"\xff"), r"function/enrich-\w+\.js is not UTF-8"),
        (put("function/a.json", b'{"id": "a", "code": {"$file": "../stream/x.js"}}'), "not in the same folder"),
        (put("function/a.json", b'{"id": "a", "code": {"$file": "/etc/passwd"}}'), "not in the same folder"),
        (put("function/a.json", b'{"id": "a", "code": {"$file": "a.json"}}'), "not in the same folder"),
        (put("function/a.json", b'{"id": "a", "code": {"$file": 5}}'), "not in the same folder"),
        (edit(ENRICH, lambda d: d.replace(b".draft.js", b".js")), r"refers to function/enrich-\w+\.js, as does"),
        (drop("manifest.json"), "manifest.json is missing"),
        (drop("run.json"), "run.json is missing"),
        (drop("cursors.json"), "cursors.json is missing"),
        (drop("members.json"), "members.json is missing"),
        (put("manifest.json", b"{}"), "give a folder that `unpack` wrote"),
        (put("manifest.json", b'{"format": "jitsu-backup-folder", "version": 9}'), "newer jitsu-backup"),
        (put("manifest.json", b'{"format": "jitsu-backup-folder", "version": 1}'), "manifest.json is not valid"),
        (put("run.json", b'{"taken_at": "yesterday", "tool": ""}'), "run.json is not valid at 'taken_at'"),
        (put("run.json", b'{"taken_at": "2026-13-40T00:00:00Z", "tool": ""}'), "run.json has no valid time"),
        (put("cursors.json", b'{"l1": {"users": 5}}'), r"cursors.json is not valid at 'l1\.users'"),
        (put("members.json", b"{}"), "members.json is not valid"),
        (put("workspace.json", b"[]"), "workspace.json is not valid"),
        (put("secrets.json", b'{"stream": "CANARY"}'), "secrets.json is not valid"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_reported_with_its_file(
    change: Callable[[dict[str, bytes]], None], words: str
) -> None:
    files = unpacked()
    change(files)
    message = refusal(files)
    assert re.search(words, message), message


@settings(deadline=None, max_examples=examples(200))
@given(st.dictionaries(hostile | st.sampled_from(sorted(unpacked())), st.binary(max_size=60) | json_values.map(
    lambda value: json.dumps(value).encode()), max_size=4))  # fmt: skip
def test_whatever_the_files_only_an_integrity_error_comes_out(changed: dict[str, bytes]) -> None:
    with suppress(IntegrityError):
        from_tree({**unpacked(), **changed})


def test_only_files_that_a_tree_would_have_are_ours() -> None:
    files = unpacked()
    ours = path_of(files, ENRICH).removesuffix(".json")
    strangers = {
        "function/my-facade.json": b'{"id": "f9"}', "function/my-facade.js": b"", "notes-abcdef.json": b"[]",
        f"{ours}.old.js": b"", f"{ours}x.js": b"", "function/deep/x.json": b"{}", "function/x-000000.json": b"<<<<",
        "function/../x.json": files[path_of(files, ENRICH)],
    }  # fmt: skip
    assert own_files({**files, **strangers}) == set(files)


# -- earlier folders, and redacted ones --------------------------------------------------


def test_a_folder_of_format_1_is_read() -> None:
    files = unpacked()
    manifest = json.loads(files["manifest.json"])
    run = json.loads(files["run.json"])
    del run["archive"]
    older = {"manifest.json": json.dumps({**manifest, "version": 1}), "run.json": json.dumps(run)}
    assert from_tree({**files, **{path: text.encode() for path, text in older.items()}}) == from_tree(files)


def test_what_a_redacted_folder_hides_is_masked_and_named() -> None:
    hook = {"id": "h", "name": "***", "url": "***", "headers": ["***"], "note": "see https://***@x and ***"}
    files = {**unpacked(), "destination/h.json": json.dumps(hook).encode()}
    manifest = json.loads(files["manifest.json"])
    files["manifest.json"] = json.dumps({**manifest, "redacted": True}).encode()
    with pytest.raises(BlockedError):
        from_tree(files)
    snapshot = from_tree(files, redacted=True)
    (found,) = [entity.body for entity in snapshot.entities if entity.key.id == "h"]
    note = f"see https://{MASK}@x and ***"
    assert found == {"id": "h", "name": "***", "url": MASK, "headers": [MASK], "note": note}
    assert snapshot.hidden[Key("destination", "h")] == {("url",), ("headers", 0), ("note",)}


def test_a_folder_that_hides_the_ids_of_write_keys_has_to_be_unpacked_again() -> None:
    stream = {"id": "s", "privateKeys": [{"id": "***", "hint": "***"}]}
    files = {**unpacked(), "stream/s.json": json.dumps(stream).encode()}
    manifest = json.loads(files["manifest.json"])
    files["manifest.json"] = json.dumps({**manifest, "redacted": True}).encode()
    with pytest.raises(IntegrityError, match=r"stream/s\.json hides the ids of write keys.* again"):
        from_tree(files, redacted=True)


@given(before=hostile_snapshots(), after=hostile_snapshots())
def test_whatever_was_there_before_a_settled_tree_reads_back_as_what_was_unpacked(
    before: Snapshot, after: Snapshot
) -> None:
    there = to_tree(before)
    found = settled(to_tree(after), there)
    assert digest(from_tree(found.tree)) == digest(after)
    own = own_files(there) | found.moved
    kept = {path: data for path, data in there.items() if path not in own}
    assert from_tree({**kept, **found.tree}) == from_tree(found.tree)
    again = settled(to_tree(after), found.tree)
    assert (again.tree, again.moved) == (found.tree, frozenset())
