"""Sections of a workspace's settings are kept for reference, and their masked values stand in the ledger."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from jitsu_backup.archive import decode, encode, from_tree, to_tree
from jitsu_backup.model import MASK, MaskedField, Snapshot
from jitsu_backup.sandbox import Sandbox
from tests.support import Meddling, console_of, example_sandbox, read, rehearsed, run

RETENTION = {"retentionHours": 168, "source": "explicit", "locked": False}
EXPORTS = {
    "enabled": True,
    "endpoint": "https://otlp.example.com/v1/logs",
    "headers": [{"name": "x-team", "value": ""}, {"name": "x-api-key", "value": MASK}],
}
MASKED = MaskedField("workspace", "observability-exports", "headers.1.value")


def read_with(sections: Mapping[str, Any], sandbox: Sandbox | None = None) -> Snapshot:
    """Read the example workspace from a console that has, or refuses, sections of its own."""

    def answer(_number: int, request: httpx.Request) -> httpx.Response | None:
        section = sections.get(request.url.path.rpartition("/")[2])
        if section is None or not request.url.path.startswith("/api/workspace/"):
            return None
        return section if isinstance(section, httpx.Response) else httpx.Response(200, json=section)

    console = console_of(sandbox or example_sandbox(), wrap=lambda inner: Meddling(inner, answer))
    found: Snapshot = run(read(console, "acme-staging"))
    return found


@pytest.fixture(scope="module")
def newest() -> Snapshot:
    return read_with({"backup-retention": RETENTION, "observability-exports": EXPORTS})


def test_the_sections_of_the_newest_console_are_kept_beside_data_retention(newest: Snapshot) -> None:
    assert newest.options.keys() == {"data-retention", "backup-retention", "observability-exports"}
    assert (newest.options["backup-retention"], newest.options["observability-exports"]) == (
        RETENTION,
        EXPORTS,
    )
    assert newest.manifest.refused == ()


def test_a_masked_header_of_an_export_is_named_in_the_ledger(newest: Snapshot) -> None:
    assert MASKED in newest.manifest.ledger
    assert sum(line.type == "workspace" for line in newest.manifest.ledger) == 1


def test_archive_and_folder_give_sections_and_their_ledger_back(newest: Snapshot) -> None:
    assert decode(encode(newest)) == newest
    assert from_tree(to_tree(newest)) == newest


def test_a_rehearsal_neither_misses_nor_promises_what_is_only_kept_for_reference(newest: Snapshot) -> None:
    without = replace(
        newest,
        options={},
        manifest=replace(
            newest.manifest, ledger=tuple(line for line in newest.manifest.ledger if line != MASKED)
        ),
    )
    found, plain = rehearsed(newest), rehearsed(without)
    assert (found.problem, found.residue, found.lacks) == ("", plain.residue, plain.lacks)


def test_an_older_console_that_answers_with_its_data_retention_has_no_such_section() -> None:
    snapshot = read_with({})  # it answers so for every name
    assert snapshot.options.keys() == {"data-retention"}
    assert snapshot.manifest.refused == ()


def test_a_console_without_the_routes_is_not_said_to_lack_them() -> None:
    absent = httpx.Response(404, json={"error": "API route not found: /api/workspace/x/y"})
    snapshot = read_with({"backup-retention": absent, "observability-exports": absent})
    assert snapshot.options.keys() == {"data-retention"}
    assert snapshot.manifest.refused == ()


def test_a_section_that_is_there_and_refused_is_reported_and_does_not_make_a_backup_incomplete() -> None:
    refused = httpx.Response(500, json={"message": "Odd settings"})
    snapshot = read_with({"observability-exports": refused})
    assert [line.what for line in snapshot.manifest.refused] == ["workspace/observability-exports"]
    assert snapshot.manifest.complete
