"""`--notify` names who changed what, by one question to the audit log a message, and says nothing where it cannot."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from jitsu_backup.archive import archive_name
from jitsu_backup.cli.notifying import who_by
from jitsu_backup.console.audit_log import AuditLog, LogState
from jitsu_backup.operations import who
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.diff import Side, diff
from jitsu_backup.operations.news import News
from jitsu_backup.settings import SecretText
from tests.support import ANALYST, OWNER, STAGING, make_snapshot
from tests.unattended.workbench import Bench, monitor
from tests.virtual_time import VirtualLoop, run_virtually

ADMIN = "service:admintoken"


def backup(bench: Bench, url: str, **env: str) -> None:
    clear = ("--plaintext-secrets",) if "JITSU_ADMIN_TOKEN" in env else ()
    flags = (*clear, "acme-staging", "-q", "--if-changed", "--notify", url, "--notify-every", "0")
    done = bench.run("backup", *flags, **env)
    assert (done.returncode, done.stderr) == (0, "")


def change(bench: Bench, code: str, key: str = OWNER) -> None:
    address = f"{bench.url}/api/{STAGING}/config/function/enrich-0001"
    answer = httpx.put(address, json={"code": code}, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text


def questions(bench: Bench) -> int:
    """Return how often the audit log was asked."""
    found: list[dict[str, Any]] = httpx.get(f"{bench.url}/_sandbox/requests").json()
    return sum("/api/audit-log" in json.dumps(one) for one in found)


def test_a_message_names_who_changed_what_and_asks_once_where_something_changed(bench: Bench) -> None:
    with monitor() as (url, told):
        backup(bench, url)
        backup(bench, url)
        assert questions(bench) == 0
        change(bench, "// one")
        change(bench, "// two", ADMIN)
        change(bench, "// three")
        backup(bench, url)
        assert questions(bench) == 1
    message = json.loads(told[1][1])
    names = "Owner (API, key key1); the operator's token"
    assert message["changes"][0]["who"] == names
    assert f"• function 'Enrich': changed 'code' (+1 -4) — by \"{names}\"\n" in message["summary"]


def test_without_notify_nobody_is_asked(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    change(bench, "// one")
    bench.run("backup", "acme-staging")
    assert questions(bench) == 0


@pytest.mark.parametrize(
    ("token", "name"), [({}, None), ({"JITSU_ADMIN_TOKEN": ADMIN}, "Owner (API, key key1)")]
)
def test_a_key_that_may_not_read_the_log_is_silent_and_the_operators_token_reads_it(
    token: dict[str, str], name: str | None, bench: Bench
) -> None:
    with monitor() as (url, told):
        backup(bench, url, JITSU_APIKEY=ANALYST, **token)
        change(bench, "// one")
        backup(bench, url, JITSU_APIKEY=ANALYST, **token)
    assert questions(bench) == 1
    (one,) = json.loads(told[1][1])["changes"]
    assert one["who"] == name


def test_a_log_that_does_not_answer_is_waited_for_5_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(who, "read_audit_log", hang)
    before, after = (make_snapshot({"function": [{"id": "f", "name": "F", "code": code}]}) for code in "12")
    access = who.LogAccess(Connection("http://x.example", SecretText(OWNER)))
    loop = VirtualLoop()
    began = loop.now
    found = run_virtually(who.glance(diff(Side(before), Side(after)), access, []), loop)
    assert found is None
    assert loop.now - began == pytest.approx(5.0)


def asking(console: Connection) -> Any:
    """Return what `who` asks the log of a console, as often as it is asked for two workspaces with changes."""
    before, after = (make_snapshot({"function": [{"id": "f", "name": "F", "code": code}]}) for code in "12")
    source = after.manifest.source
    access = WorkspaceAccess(replace(console, host=source.host), source.workspace_id)
    news = News(source, archive_name(after), archive_name(before), diff(Side(before), Side(after)))
    ask = who_by([access], [])

    async def twice() -> None:
        assert await ask(news) == {}
        assert await ask(news) == {}

    return twice()


def test_a_console_whose_log_does_not_answer_is_asked_once_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(who, "read_audit_log", hang)
    loop = VirtualLoop()
    began = loop.now
    run_virtually(asking(Connection("http://x.example", SecretText(OWNER))), loop)
    assert loop.now - began == pytest.approx(5.0)


@pytest.mark.parametrize(("left", "times"), [(None, 2), (500, 2), (20, 0), (0, 0)])
def test_a_budget_that_is_nearly_used_up_is_not_spent_on_names(
    left: int | None, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def read(_: Any, workspace_id: str, *__: Any, **___: Any) -> AuditLog:
        asked.append(workspace_id)
        return AuditLog((), LogState.EMPTY)

    monkeypatch.setattr(who, "read_audit_log", read)
    console = Connection("http://x.example", SecretText(OWNER))
    host = make_snapshot({}).manifest.source.host
    gate = console.gates.of(host.rstrip("/"), OWNER.partition(":")[0], "GET")
    gate.left, gate.limit, gate.window_end = left, 600, gate.clock() + 30
    run_virtually(asking(console))
    assert len(asked) == times
