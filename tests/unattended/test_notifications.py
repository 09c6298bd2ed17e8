"""`--notify`: people hear of what changed, once in a while, without a secret, and no backup fails for it."""

import json
import os
import shlex
import stat
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.operations.notifying import Message, address_of, as_mail
from tests.support import STAGING
from tests.unattended.workbench import Bench, monitor

QUIET = ("backup", "acme-staging", "-q", "--if-changed")


def edit(bench: Bench, code: str = "of today", object_id: str = "enrich-0001") -> None:
    bench.state.objects[object_id].config["code"] = code


def run(bench: Bench, url: str, *more: str, code: int = 0, **env: str) -> str:
    """Back up and notify; return what was said."""
    done = bench.run(*QUIET, "--notify", url, *more, **env)
    assert done.returncode == code, done.stderr
    assert "CANARY" not in done.stdout + done.stderr
    return str(done.stderr)


def bodies(told: list[tuple[str, str]]) -> list[Any]:
    return [json.loads(body) for _, body in told]


ALWAYS = ("--notify-every", "0")


def test_a_first_backup_a_change_and_nothing_for_none(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench, url, *ALWAYS)
        run(bench, url, *ALWAYS)
        edit(bench)
        run(bench, url, *ALWAYS)
        run(bench, url, *ALWAYS)
    first, changed = bodies(told)
    old, new = bench.archives
    assert (first["event"], first["before"], first["changes"]) == ("first", None, [])
    assert first["summary"] == (
        f"acme-staging: backed up for the first time\n{first['entities']} entities.\n"
        f"Details: jitsu-backup show {old.reference}\n"
        f"As an HTML page: jitsu-backup show {old.reference} --html snapshot.html"
    )
    assert (changed["event"], changed["archive"], changed["before"]) == (
        "changed",
        new.reference,
        old.reference,
    )
    assert changed["changes"] == [
        {
            "type": "function",
            "name": "Enrich",
            "what": "changed",
            "was": None,
            "fields": ["code"],
            "who": None,
        }
    ]
    assert "• function 'Enrich': changed 'code' (+1 -" in changed["summary"]
    diff = f"jitsu-backup diff {old.reference} {new.reference}"
    assert changed["summary"].endswith(f"\nDetails: {diff}\nAs an HTML page: {diff} --html changes.html")
    assert changed["command"] == diff
    assert changed["workspace_id"] == STAGING
    assert told[0][0] == "/ping/CANARY?create=1"


def test_what_is_held_back_is_reported_with_the_next_message_also_where_nothing_changed_then(
    bench: Bench,
) -> None:
    with monitor() as (url, told):
        run(bench, url)
        edit(bench)
        run(bench, url)
        bench.state.add_object(STAGING, "function", "new-0001", {"name": "New", "code": "new"})
        run(bench, url)
        assert len(told) == 1
        run(bench, url, *ALWAYS)
        run(bench, url, *ALWAYS)
    _, second = bodies(told)
    assert {(one["name"], one["what"]) for one in second["changes"]} == {
        ("Enrich", "changed"),
        ("New", "added"),
    }
    assert len(told) == 2


def test_slack_gets_one_text_in_which_no_name_mentions_or_links_anything(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench, f"slack:{url}", *ALWAYS)
        name = "<!channel> <@U0AB12> `x` & <https://evil.example|click> @here\n*bold*"
        bench.state.add_object(STAGING, "function", "new-0001", {"name": name, "code": "new"})
        run(bench, f"slack:{url}", *ALWAYS)
    (message,) = bodies(told)[1:]
    assert set(message) == {"text"}
    (line,) = [line for line in message["text"].split("\n") if "function" in line]
    shown = "&lt;!channel&gt; &lt;@U0AB12&gt; 'x' &amp; &lt;https://evil.example|click&gt; @here *bold*"
    assert line == f"• function `{shown}`: added"
    assert "<" not in message["text"]


SENDMAIL = """#!/bin/sh
cd "$(dirname "$0")/.."
env > environment
printf '%s\\n' "$@" > arguments
cat > mail
test ! -e fail || exit 75
"""


def test_mail_goes_to_sendmail_with_headers_that_no_name_can_add_to(bench: Bench, tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    program = bin_folder / "sendmail"
    program.write_text(SENDMAIL)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    secrets = {"AWS_SECRET_ACCESS_KEY": "CANARY", "TEAM_TOKEN": "CANARY", "JITSU_BACKUP_PING": ""}
    env = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "LC_TIME": "C", "TZ": "UTC", **secrets}
    address = "mailto:a@example.com,b@example.com"
    run(bench, address, *ALWAYS, **env)
    name = "New\r\nBcc: evil@example.com"
    bench.state.add_object(STAGING, "function", "new-0001", {"name": name, "code": "new"})
    run(bench, address, *ALWAYS, **env)
    head, _, body = (tmp_path / "mail").read_text().partition("\n\n")
    assert head.startswith(
        "To: a@example.com, b@example.com\nSubject: jitsu-backup: acme-staging: 1 change\n"
    )
    assert "Bcc" not in head
    assert "Bcc" in body
    assert (tmp_path / "arguments").read_text() == "-i\na@example.com\nb@example.com\n"
    given = {line.partition("=")[0] for line in (tmp_path / "environment").read_text().splitlines()}
    assert given >= {"PATH", "HOME", "LC_TIME", "TZ"}
    assert not {name for name in given if name.startswith("JITSU_")} | (given & secrets.keys())
    edit(bench)
    (tmp_path / "fail").touch()
    told = run(bench, address, *ALWAYS, **env)
    assert (
        "the notification about acme-staging could not be sent to a@example.com, b@example.com: sendmail failed with exit status 75"
        in told
    )


@pytest.mark.parametrize(
    "slug",
    ["=?utf-8?q?=0D=0ABcc:_evil@example.com?=", "=?utf-8?b?DQoNCk93biBib2R5?=", "a\r\nBcc: evil@example.com"],
)
def test_no_name_in_a_subject_adds_a_header_or_a_body_to_a_mail(slug: str) -> None:
    mail = as_mail(
        Message(f"jitsu-backup: {slug}: 1 change", "body", "", {}), address_of("mailto:a@example.com")
    )
    parsed = message_from_bytes(mail)
    assert "Bcc" not in parsed
    assert parsed.get_payload() == "body\n"


@pytest.mark.parametrize(
    ("status", "times", "why"),
    [
        (404, 1, "HTTP 404; check its address"),
        (500, 3, "its server reports an error (HTTP 500)"),
        (
            429,
            3,
            "its server limits the number of messages (HTTP 429)",
        ),
    ],
)
def test_a_message_that_is_not_taken_fails_no_backup_and_is_reported_with_the_next(
    status: int, times: int, why: str, bench: Bench
) -> None:
    with monitor(status) as (url, told):
        said = run(bench, url, *ALWAYS)
        assert (
            f"warning: the notification about acme-staging could not be sent to {url.split('/')[2]}: {why}; the next message includes the changes"
            in said
        )
        assert len(told) == times
        edit(bench)
        run(bench, url, *ALWAYS)
    assert len(bench.archives) == 2
    other = run(bench, "http://127.0.0.1:9/CANARY", *ALWAYS)
    assert "cannot be reached" in other  # another address owes the same


def test_what_failed_is_reported_once_the_address_answers(bench: Bench) -> None:
    run(bench, "http://127.0.0.1:9/CANARY", *ALWAYS)
    with monitor() as (url, _):
        port = url.split(":")[2].split("/")[0]
    edit(bench)
    said = run(bench, f"http://127.0.0.1:{port}/CANARY", *ALWAYS)
    assert "cannot be reached" in said
    again = run(bench, f"http://127.0.0.1:{port}/CANARY", *ALWAYS)
    assert "cannot be reached" in again  # though nothing has changed since


@pytest.mark.parametrize(
    "address",
    [
        "CANARY",
        "",
        "ftp://x/CANARY",
        "slack:CANARY",
        "mailto:CANARY",
        "mailto:-oQ/CANARY@x",
        "mailto:",
        "mailto:a@b?cc=CANARY",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_read_and_not_shown(
    address: str, bench: Bench
) -> None:
    done = bench.run("backup", "acme-staging", "--notify", address)
    assert done.returncode == 2
    assert "CANARY" not in done.stderr
    assert bench.archives == []


def test_the_settings_name_whom_to_tell_and_a_profile_its_own(bench: Bench) -> None:
    with monitor() as (top, of_top), monitor() as (own, of_own):
        (bench.folder / "jitsu-backup.toml").write_text(
            'notify = {env = "TOP"}\nnotify_every = "0s"\n'
            '[profiles.staging]\nworkspace = "acme-staging"\nnotify = {command = ["printenv", "OWN"]}\n'
        )
        done = bench.run("backup", "--all", "-q", TOP=top, OWN=own)
        assert done.returncode == 0, done.stderr
        assert [body["workspace"] for body in bodies(of_own)] == ["acme-staging"]
        assert "acme-staging" not in [body["workspace"] for body in bodies(of_top)]
        assert len(of_top) >= 1
        assert bench.run("check", "--config", TOP=top, OWN=own).returncode == 0
        wrong = bench.run("check", "--config", TOP="CANARY", OWN="ftp://CANARY")
        assert (wrong.returncode, wrong.stdout.count("problem   ")) == (2, 2), wrong.stdout
        assert "CANARY" not in wrong.stdout + wrong.stderr
        untold = bench.run("backup", "acme-production", "-q", TOP="CANARY", OWN=own)
        assert untold.returncode == 0
        assert "no notification can be sent: --notify: not a supported address; give https" in untold.stderr


def test_settings_that_are_wrong_are_named(bench: Bench) -> None:
    (bench.folder / "jitsu-backup.toml").write_text('notify_every = "soon"\n')
    done = bench.run("check", "--config")
    assert "'notify_every' must be a duration such as 90s, 10m or 2h, not 'soon'" in done.stdout


def test_a_shrunken_workspace_is_reported_with_its_alarm_and_what_is_gone(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench, url, *ALWAYS)
        bench.forget("destination", 0)
        run(bench, url, *ALWAYS, code=3)
    second = bodies(told)[1]
    assert second["summary"].startswith(f"acme-staging: shrunk; {len(second['changes'])} changes since ")
    assert "Shrink alarm: destination: 4 before, 0 now." in second["summary"]
    assert {one["what"] for one in second["changes"] if one["type"] == "destination"} == {"removed"}


def test_a_machine_without_the_key_to_archives_tells_counts(bench: Bench, tmp_path: Path) -> None:
    import pyrage

    sealed = ("--encrypt-to", str(pyrage.x25519.Identity.generate().to_public()))
    with monitor() as (url, told):
        run(bench, url, *ALWAYS, *sealed)
        bench.forget("destination", 0)
        said = run(bench, url, *ALWAYS, *sealed, code=3)
    second = bodies(told)[1]
    assert second["not_compared"] == "the previous archive cannot be read on this machine"
    assert "Number of entities: destination 4 → 0" in second["summary"]
    assert second["changes"] == []
    before, now = (archive.reference for archive in bench.archives)
    assert second["command"] == f"jitsu-backup diff {before} {now} --identity FILE"
    assert f"  jitsu-backup diff {before} {now} --identity FILE" in said.splitlines()
    assert f"  jitsu-backup restore {before} --dry-run --identity FILE" in said.splitlines()


def test_no_value_of_a_field_is_in_a_message(bench: Bench) -> None:
    with monitor() as (url, told):
        run(bench, url, *ALWAYS)
        bench.state.objects["hook-0001"].config["url"] = "https://example.com/?token=s3cret-value"
        bench.state.objects["enrich-0001"].config["code"] = "const password = 's3cret-value'"
        run(bench, url, *ALWAYS)
    assert "s3cret-value" not in json.dumps(told)
    assert {one["name"] for one in bodies(told)[1]["changes"]} >= {"Enrich"}


def test_without_a_folder_for_its_memory_each_run_tells_what_it_finds(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    env = {"XDG_STATE_HOME": str(tmp_path / "file")}
    with monitor() as (url, told):
        run(bench, url, **env)
        edit(bench)
        run(bench, url, **env)
        run(bench, url, **env)
    assert len(told) == 2


def test_the_commands_in_a_message_run_as_they_are_printed(bench: Bench, tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "a store"))
    with monitor() as (url, told):
        run(bench, url, *ALWAYS, *store, "--new-store")
        edit(bench)
        run(bench, f"slack:{url}", *ALWAYS, *store)
        bench.forget("destination", 0)
        run(bench, url, *ALWAYS, *store, code=3)
    first, slack, shrunken = bodies(told)
    commands = [first["command"], shrunken["command"]]
    for text in (first["summary"], slack["text"].replace("`", ""), shrunken["summary"]):
        commands += [line.partition(": ")[2] for line in text.split("\n")[-2:]]
    assert len(commands) == 8
    for command in commands:
        program, *words = shlex.split(command)
        done = bench.run(*words)
        assert (program, done.returncode) == ("jitsu-backup", 0), (command, done.stderr)
    assert "<html" in (tmp_path / "changes.html").read_text()


def test_an_archive_that_goes_elsewhere_is_compared_with_nothing(bench: Bench) -> None:
    done = bench.run(
        "backup", "acme-staging", "--output", "a.json.gz", "--notify", "https://example.com/CANARY"
    )
    assert done.returncode == 2
    assert "--output does not use the store, but --notify" in done.stderr
