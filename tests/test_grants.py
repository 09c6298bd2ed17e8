"""Grants are kept outside the console: what tells of one is the target's own, and is never copied."""

import orjson
import pytest

from jitsu_backup.catalogue import grant_fields, has_grant, without_grant
from jitsu_backup.model import Entity, Key
from tests.support import FIXTURES


def recorded(name: str) -> Entity:
    exchanges = orjson.loads((FIXTURES / "recordings-more.json").read_bytes())["exchanges"]
    body = next(e["response"]["body"] for e in exchanges if e["name"] == name)
    return Entity(Key(body["type"], body["id"]), body)


def test_what_somebody_authorised_has_a_grant() -> None:
    assert has_grant(recorded("destination/get-salesforce"))
    assert has_grant(recorded("service/get-authorized"))
    assert not has_grant(recorded("destination/get-empty-password"))
    assert not has_grant(recorded("service/get-null-secret"))


@pytest.mark.parametrize(
    ("kind", "body", "granted"),
    [
        ("destination", {"authorized": False}, False),
        ("destination", {"authorized": "yes"}, False),
        ("destination", {"oauthConnectionId": "destination.x"}, True),
        ("destination", {"oauthConnectionId": ""}, False),
        ("destination", {"oauthIntegrationId": "jitsu-cloud-dst-salesforce"}, False),
        ("service", {"oauthConnectionId": "x"}, False),
        ("function", {"authorized": True}, False),
        ("brand-new", {"oauthConnectionId": "brand-new.x"}, True),
    ],
)
def test_a_grant_is_told_by_its_type_and_fields(kind: str, body: dict[str, object], granted: bool) -> None:
    assert has_grant(Entity(Key(kind, "x"), body)) is granted


def test_nothing_but_the_grant_is_left_out() -> None:
    for name in ("destination/get-salesforce", "service/get-authorized"):
        entity = recorded(name)
        rest = without_grant(entity.key.type, entity.body)
        assert entity.body.keys() - rest.keys() == grant_fields(entity.key.type)
        assert not has_grant(Entity(entity.key, rest))
