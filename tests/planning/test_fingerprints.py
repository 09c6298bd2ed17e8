"""A saved plan knows whether its target is still the same."""

from typing import Any

import pytest

from jitsu_backup.planning import changed_since, changes_in_words, fingerprints, slow_fingerprints
from tests.planning.scenarios.scenario import BASE, CRM, builder, link, side, sync, with_

STREAM = {"id": "web-1", "name": "Web", "publicKeys": [{"id": "b"}, {"id": "a"}, "odd"], "privateKeys": []}
RICH = with_(
    BASE, stream=[STREAM], profile_builder=[builder("pb-1", "pf-1", "db-1")], link=[link("l1", "web-1", "db-1"), sync("y1", "crm-1", "db-1")],
)  # fmt: skip


def changed(cursors: Any = None, before_cursors: Any = None, **more: list[dict[str, Any]]) -> list[str]:
    before = side(RICH, cursors=before_cursors or {"y1": {"users": "1"}})
    after = side(with_(RICH, **more), cursors=cursors or {"y1": {"users": "1"}})
    found = changed_since(fingerprints(before, "salt"), fingerprints(after, "salt"))
    return [f"{key} is {how}" for key, how in found.items()]


def test_nothing_changed() -> None:
    assert changed() == []


def test_a_change_is_reported_by_its_entity() -> None:
    assert changed(service=[{**CRM, "version": "2"}]) == ["service/crm-1 is changed"]
    assert changed(service=[{**CRM, "id": "new"}], destination=[]) == [
        "destination/db-1 is gone", "service/crm-1 is gone", "service/new is new",
    ]  # fmt: skip


def test_times_the_use_of_keys_and_a_cursors_progress_are_no_change() -> None:
    used = {**STREAM, "updatedAt": "now", "publicKeys": [{"id": "a", "lastUsed": 1}, {"id": "b"}, "other"]}
    assert changed(stream=[used]) == []
    assert changed(cursors={"y1": {"users": "2"}}) == []
    assert (
        changed(link=[link("l1", "web-1", "db-1", updatedAt="x"), sync("y1", "crm-1", "db-1", createdAt="x")])
        == []
    )


def test_a_links_kind_is_part_of_it_and_an_older_consoles_note_of_deletion_is_not() -> None:
    one, other = link("l1", "web-1", "db-1"), sync("y1", "crm-1", "db-1")
    assert changed(link=[{**one, "deleted": False}, other]) == []
    assert changed(link=[{**one, "type": "sync"}, other]) == ["link/l1 is changed"]


def test_keys_are_keys_only_in_streams() -> None:
    plain = {"id": "f", "publicKeys": [{"id": "a", "x": 1}]}
    before, after = (
        side(with_(BASE, function=[{**plain, "publicKeys": [{"id": "a", "x": n}]}])) for n in (1, 2)
    )
    assert changed_since(fingerprints(before, ""), fingerprints(after, "")) == {"function/f": "changed"}


@pytest.mark.parametrize("keys", [[{"id": "a"}], [{"id": "a"}, {"id": "c"}], None])
def test_another_write_key_is_a_change(keys: Any) -> None:
    assert changed(stream=[{**STREAM, "publicKeys": keys}]) == ["stream/web-1 is changed"]
    assert changed(stream=[{**STREAM, "privateKeys": [{"id": "x"}]}]) == ["stream/web-1 is changed"]


def test_a_cursor_set_or_reset_is_a_change() -> None:
    assert changed(cursors={"y1": {"users": "1", "orders": "1"}}) == ["link/y1 is changed"]
    assert changed(cursors={"other": {}}) == ["link/y1 is changed"]


def test_the_function_of_a_profile_builder_is_part_of_it() -> None:
    assert changed(profile_builder=[builder("pb-1", "pf-1", "db-1", "other code")]) == [
        "profile-builder/pb-1 is changed"
    ]


def test_a_fingerprint_tells_nothing_without_its_salt() -> None:
    one, other = (fingerprints(side(BASE), salt) for salt in ("one", "other"))
    assert (
        one.keys()
        == other.keys()
        == {"destination/db-1", "function/enrich", "link/l1", "service/crm-1", "stream/web-1"}
    )
    assert not {*one.values()} & {*other.values()}


def test_changes_are_reported_by_name_the_first_five_and_then_by_their_counts() -> None:
    changes = {f"stream/s{n}": how for n, how in enumerate(["changed", "new", "gone"])}
    names = {"stream/s0": "Web", "stream/s1": "App"}
    told = "stream 'Web' (stream/s0) has changed; stream 'App' (stream/s1) is new; stream/s2 was deleted"
    assert changes_in_words(changes, names) == told
    more = changes | {f"stream/t{n}": how for n, how in enumerate(["new", "new", "gone", "changed", "new"])}
    assert changes_in_words(more, names).endswith("stream/t1 is new and 3 more (1 changed, 1 deleted, 1 new)")


def test_an_id_with_a_slash_is_reported_with_its_type() -> None:
    assert (
        changes_in_words({"stream/a/b": "new"}, {"stream/a/b": "Web"}) == "stream 'Web' (stream/a/b) is new"
    )


def test_what_a_saved_plan_holds_is_the_same_in_every_version() -> None:
    pb = {"id": "pb", "name": "P", "functions": [{"functionId": "f"}]}
    live = side({"profile-builder": [pb], "link": [sync("y", "a", "b")]}, cursors={"y": {"users": "1"}})
    assert fingerprints(live, "salt") == {
        "link/y": "7cd88d7fb806d10851d68cd9e5fb53e001f13229531f3b55b56b3cd13ffbe079",
        "profile-builder/pb": "6f7c2fd4c15bdecea98a6835789707515f625ec42dbf10731cbe8ecc3cec0244",
    }
    assert slow_fingerprints({"a": b"1234"}, "salt") == {
        "a": "6109c7f1924e683a607753cb690ad9289892e80e6b244c014b57232f8395fc2d"
    }


def test_a_slow_fingerprint_is_bound_to_value_name_and_salt() -> None:
    one = slow_fingerprints({"a": b"1234", "b": b"1234", "c": b"1235"}, "salz €")
    other = slow_fingerprints({"a": b"1234"}, "another")
    assert len({*one.values(), *other.values()}) == 4
    assert slow_fingerprints({"c": b"1235", "b": b"1234", "a": b"1234"}, "salz €") == one
    assert slow_fingerprints({}, "salt") == {}


def test_guessing_a_value_takes_scrypt_and_the_fewer_there_are_the_slower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = []

    def scrypt(value: bytes, *, salt: bytes, n: int, r: int, p: int, dklen: int) -> bytes:
        costs.append((n, r, p))
        return b"x" * dklen

    monkeypatch.setattr("hashlib.scrypt", scrypt)
    for count in (1, 5, 7, 10, 50, 200):
        costs.clear()
        slow_fingerprints({str(n): b"" for n in range(count)}, "salt")
        assert costs == [(2**13, 8, {1: 10, 5: 10, 7: 7, 10: 5, 50: 1, 200: 1}[count])] * count
