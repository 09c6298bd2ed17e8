"""Older format versions: how a document of each is upgraded to the next."""

from collections.abc import Callable, Mapping
from typing import Any

from jitsu_backup.catalogue import type_in_list

Document = dict[str, Any]

_LINK, _MODEL, _SYNC = "link", "model", "reverse-sync"


def _with_reverse_syncs(document: Document) -> Document:
    """Return a document in which reverse syncs are not links [link/list-shows-reverse-sync], and models are known."""
    content, manifest = document["content"], document["manifest"]
    entities, counts = dict(content["entities"]), dict(manifest["counts"])
    syncs = {body["id"] for body in entities.get(_LINK, ()) if type_in_list(_LINK, body) == _SYNC}
    if _LINK in counts and (_MODEL in counts or syncs):
        links = entities[_LINK]
        entities[_SYNC] = [body for body in links if body["id"] in syncs]
        entities[_LINK] = [body for body in links if body["id"] not in syncs]
        counts |= {_SYNC: len(syncs), _LINK: counts[_LINK] - len(syncs)}
    ledger = [
        {**line, "type": _SYNC} if line["type"] == _LINK and line["id"] in syncs else line
        for line in manifest["ledger"]
    ]
    manifest = {
        **manifest,
        "counts": counts,
        "generic": [name for name in manifest["generic"] if name != _MODEL],
        "ledger": sorted(ledger, key=lambda line: (line["type"], line["id"], line["path"])),
    }
    return {**document, "version": 3, "content": {**content, "entities": entities}, "manifest": manifest}


UPGRADES: Mapping[int, Callable[[Document], Document]] = {
    1: lambda document: {
        **document,
        "version": 2,
    },  # which only added `content.secrets`, and it may be absent
    2: _with_reverse_syncs,
}
"""By version, the function that turns a document into one of the next version."""
