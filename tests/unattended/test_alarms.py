"""What goes out says which workspace, what, why and what to do, and says the same to everybody."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from jitsu_backup.archive import parse_name
from jitsu_backup.cli.backup_report import unseen_in_words
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.errors import (
    AccessError,
    BackupError,
    ConsoleError,
    DiskError,
    IntegrityError,
    LateError,
    NotFoundError,
    UnreachableError,
    UsageError,
    WrongAddressError,
)
from jitsu_backup.model import HARMFUL
from jitsu_backup.operations.alarms import (
    FOR_EVER,
    LONGEST_REASON,
    Alarm,
    What,
    remedy_for,
    told_in,
    why_and_remedy,
)
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.backup_outcome import BackupRun
from jitsu_backup.operations.known_before import KnownBefore
from jitsu_backup.operations.vanished_store import ExpectedStore
from jitsu_backup.reports.metrics import RunFigures, metrics_text
from jitsu_backup.sandbox import Sandbox, running
from tests.support import ANALYST, MOMENT
from tests.test_errors import whole_tree
from tests.unattended.workbench import Bench, monitor, samples

KINDS = list(What)


@contextmanager
def refusing(bench: Bench, *parts: str) -> Iterator[str]:
    """The bench's console, refusing for good what has one of `parts` in its path."""
    sandbox = Sandbox(bench.state, rate_limit=False)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if not any(part in scope["path"] for part in parts):
            return await sandbox.app(scope, receive, send)
        body = orjson.dumps({"message": "Cannot delete what is not meant"})
        await send(
            {
                "type": "http.response.start",
                "status": 500,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": body})
        return None

    with running(SimpleNamespace(app=app)) as url:  # type: ignore[arg-type]
        yield url


def flat(text: str) -> str:
    """A text without its layout: in one line a command is in backquotes, for a person on a line of its own."""
    return " ".join(re.findall(r"\w+", text))


def told_everywhere(bench: Bench, code: int, *arguments: str, **env: str) -> dict[str, Any]:
    """Run a backup for each who hears of it; see that all hear the same, and return the log's alarm."""
    with monitor() as (url, told):
        text = bench.run("-q", *arguments, "--ping", url, "--metrics", "m", **env)
        assert text.returncode == code, text.stderr
        log = bench.run(*arguments, "--log-format", "json", "--metrics", "m", **env)
    (line,) = log.stderr.splitlines()
    (alarm,) = json.loads(line)["alarms"]
    words = [alarm[name] for name in ("workspace", "why", "remedy")]
    assert all(words), alarm
    mailed = flat(text.stderr)  # all that is left where standard output is thrown away
    for word in words:
        assert flat(word) in mailed
        assert word in told[-1][1]
    assert flat(told[-1][1]).endswith(mailed.removeprefix("jitsu backup "))
    (labels,) = [
        one.labels
        for one in samples(bench.folder / "m")
        if one.name == f"jitsu_backup_{alarm['what']}" and one.value
    ]
    assert [labels["workspace"], labels["reason"], labels["remedy"]] == words
    return dict(alarm)


def test_an_incomplete_backup_says_what_could_not_be_read_and_why(bench: Bench) -> None:
    with refusing(bench, "/config/destination", "/config/function") as url:
        alarm = told_everywhere(bench, 3, "backup", "acme-staging", JITSU_HOST=url)
    assert (alarm["workspace"], alarm["what"]) == ("acme-staging", "incomplete")
    assert alarm["why"] == "destination, function could not be read: Cannot delete what is not meant"


def test_cursors_are_named_by_the_ends_of_their_sync(bench: Bench) -> None:
    with refusing(bench, "/sources/state") as url:
        alarm = told_everywhere(bench, 3, "backup", "acme-staging", JITSU_HOST=url)
        shown = bench.run("show", "latest")
        checked = bench.run("verify", "latest")
    assert alarm["why"].startswith("cursors of CRM → Warehouse (2 with this name) could not be read: ")
    for text in (shown.stdout, checked.stdout, checked.stderr):
        assert "cursors of CRM → Warehouse" in " ".join(text.split())


def test_a_fall_says_what_was_there_and_where_it_still_is(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    bench.forget("destination", 0)
    alarm = told_everywhere(bench, 3, "backup", "acme-staging")
    assert (alarm["what"], alarm["why"]) == ("shrunk", "destination: 4 before, 0 now")
    assert "restore" in alarm["remedy"]


def test_a_failure_names_the_workspace_and_what_to_do(bench: Bench) -> None:
    alarm = told_everywhere(bench, 1, "backup", "nobody")
    assert (alarm["workspace"], alarm["what"]) == ("nobody", "failed")
    assert alarm["remedy"].endswith("see what exists with `jitsu-backup check`")


def test_several_alarms_are_a_line_each_and_a_good_run_has_none(bench: Bench) -> None:
    with monitor() as (url, told):
        assert (
            bench.run("backup", "acme-staging", "acme-production", "--ping", url, "--metrics", "m").returncode
            == 0
        )
        assert told[-1][1] == "exit code 0: 2 workspaces: 2 backed up"
        assert not [one for one in samples(bench.folder / "m") if "reason" in one.labels and one.value]
        bench.forget("destination", 0)
        with refusing(bench, "/config/stream") as console:
            done = bench.run(
                "backup", "acme-staging", "nobody", "acme-production", "--ping", url, JITSU_HOST=console
            )
    assert done.returncode == 3
    head, *lines = told[-1][1].splitlines()
    assert head.startswith("exit code 3: 3 workspaces: 2 backed up")
    beginnings = [
        "nobody: not backed up: ", "acme-staging has shrunk: ", "acme-staging is incomplete: ",
        "acme-production is incomplete: ",
    ]  # fmt: skip
    _, *shown = f"\n{done.stderr}".split("\njitsu-backup: ")
    assert sorted(map(flat, lines)) == sorted(map(flat, shown))
    assert all(sum(line.startswith(beginning) for line in lines) == 1 for beginning in beginnings)


def test_what_a_run_finds_beside_its_workspaces_is_in_the_figures_until_it_is_over(bench: Bench) -> None:
    bench.run("backup", "--all", "--metrics", "m")
    gone = bench.state.workspaces.pop("cacmeprod0000000000000002")
    assert bench.run("backup", "--all", "--metrics", "m").returncode == 3
    (found,) = [one for one in samples(bench.folder / "m") if one.name == "jitsu_backup_run_problem"]
    assert (found.labels["problem"], found.labels["workspace"]) == ("unseen", "acme-production")
    assert found.labels["reason"] == "is in the store, but this key cannot see it"
    remedy = (
        "give the owner of the key access to it again; if it was deleted on purpose, or a recovery replaced it, silence this with"
        ' --allow-unseen acme-production, or write allow_unseen = ["acme-production"] into the settings; if it or its console'
        " was lost, bring it back with `jitsu-backup recover`"
    )
    assert found.labels["remedy"] == remedy
    bench.state.workspaces[gone.id] = gone
    assert bench.run("backup", "--all", "--metrics", "m").returncode == 0
    assert "jitsu_backup_run_problem{" not in (bench.folder / "m").read_text()


def test_a_check_of_archives_names_workspace_archive_and_reason(bench: Bench) -> None:
    with refusing(bench, "/config/function") as url:
        bench.run("backup", "acme-staging", JITSU_HOST=url)
    bench.run("backup", "acme-production")
    broken = next(iter((bench.folder / "jitsu-backups").glob("acme-production*")))
    broken.write_bytes(broken.read_bytes()[:100])
    with monitor() as (url, told):
        done = bench.run("verify", "--all", "--log-format", "json", "--ping", url)
    assert done.returncode == 5
    alarms = json.loads(done.stderr)["alarms"]
    assert [(one["workspace"], one["what"]) for one in alarms] == [
        ("acme-production", "unreadable"),
        ("acme-staging", "incomplete"),
    ]
    head, first, second = told[-1][1].splitlines()
    assert head.startswith("exit code 5: 2 archives")
    assert first.startswith("acme-production has an archive that cannot be read: acme-production/")
    assert "not read: function: Cannot delete" in second


def test_what_a_weaker_key_misses_is_an_alarm_like_the_others(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    done = bench.run("backup", "acme-staging", "--metrics", "m", "--log-format", "json", JITSU_APIKEY=ANALYST)
    (alarm,) = json.loads(done.stderr)["alarms"]
    assert (done.returncode, alarm["what"], alarm["workspace"]) == (3, "weaker", "acme-staging")
    assert [one.value for one in samples(bench.folder / "m") if one.name == "jitsu_backup_weaker"] == [1]


def test_an_alarm_that_needs_no_reason_says_in_json_what_is_wrong() -> None:
    assert Alarm(What.UNSEEN, "", "look", "old").document()["why"] == What.UNSEEN.words
    assert Alarm(What.UNSEEN, "gone", "look", "old").document()["why"] == "gone"


def again(*arguments: str) -> str:
    return shlex.join(["jitsu-backup", *arguments])


def late(*, away: bool, limited: bool = False) -> LateError:
    found = LateError("not done before the deadline of 5 s")
    found.away, found.limited = away, limited
    return found


@pytest.mark.parametrize(
    ("failure", "waits", "told", "not_told"),
    [
        (late(away=True), None, "the console did not answer in time", "--deadline"),
        (late(away=False), None, "a later --deadline", "console"),
        (
            late(away=False, limited=True),
            None,
            "a later --deadline, or use a key that nothing else",
            "--shard",
        ),
        (WrongAddressError("answers 404"), None, "check the host", "the next run"),
        (UnreachableError("refused"), None, "--retry-for 10m", "more than"),
        (UnreachableError("refused"), 6.0, "a --retry-for of more than 6s", "10m"),
        (RefusedError(RefusalKind.REFUSED, "no"), None, "the next run", "--retry-for"),
        (IntegrityError("damaged"), None, "snapshots", "use another"),
        (NotFoundError("no workspace 'acme'"), None, "see what exists with `jitsu-backup check`", "acme"),
        (UnreachableError("refused"), FOR_EVER, "the watch tries again by itself", "--retry-for"),
        (late(away=False), FOR_EVER, "the watch tries again by itself", "--deadline"),
    ],
    ids=str,
)
def test_a_remedy_fits_its_cause(failure: BackupError, waits: float | None, told: str, not_told: str) -> None:
    remedy = remedy_for(failure, again, "acme", waits)
    assert told in remedy
    assert not_told not in remedy


@pytest.mark.parametrize(
    ("failure", "why", "remedy"),
    [
        (UsageError("the file k is empty; write it; now"), "the file k is empty", "write it; now"),
        (BackupError("the store s is empty; mount it"), "the store s is empty", "mount it"),
        (DiskError("no space; free some"), "no space", "free some; the next run tries again"),
        (
            AccessError("it has the wrong form; it is a:b").with_remedy("write it into k"),
            "it has the wrong form; it is a:b",
            "write it into k; then test it with `jitsu-backup check acme`",
        ),
        (ConsoleError("HTTP 502; gone"), "HTTP 502; gone", "the next run tries again; try now with `jitsu-backup check acme`"),
        (
            NotFoundError("no workspace"),
            "no workspace",
            "it may have been deleted, or its slug changed; see what exists with `jitsu-backup check`",
        ),
    ],
    ids=repr,
)  # fmt: skip
def test_a_message_that_says_what_to_do_is_split_into_reason_and_remedy(
    failure: BackupError, why: str, remedy: str
) -> None:
    assert why_and_remedy(failure, again, "acme") == (why, remedy)


@pytest.mark.parametrize(
    "kind", [*whole_tree(), OSError, KeyError, type(None)], ids=lambda kind: kind.__name__
)
def test_no_failure_is_without_remedy_and_names_are_quoted(kind: type[BaseException]) -> None:
    failure = kind.__new__(kind)
    remedy = remedy_for(failure if isinstance(failure, BaseException) else None, again, "Acme Staging")
    assert remedy
    assert "Acme Staging" not in remedy.replace("'Acme Staging'", "")


@pytest.mark.parametrize(
    ("why", "between"), [("it is gone.", " "), ("deleted on purpose?", " "), ("it is gone", "; ")]
)
def test_a_reason_that_is_a_sentence_is_followed_by_no_semicolon(why: str, between: str) -> None:
    assert str(Alarm(What.RUN_FAILED, why, "look")) == f"{why}{between}look"


def test_what_a_remedy_says_to_run_runs_as_it_is_pasted(bench: Bench) -> None:
    failed = bench.run("backup", "--all", JITSU_HOST="http://127.0.0.1:9")
    assert failed.stderr.endswith("try now with:\n  jitsu-backup check\n")
    done = bench.run("check")
    assert done.returncode == 0, done.stderr
    assert "acme-production, acme-staging" in done.stdout
    found = json.loads(bench.run("--json", "check").stdout)
    assert [each["slug"] for each in found["workspaces"]] == ["acme-staging", "acme-production"]


TEXTS = st.text(max_size=2 * LONGEST_REASON)


@given(st.sampled_from(KINDS), TEXTS, TEXTS, TEXTS)
def test_an_alarm_is_one_line_of_bounded_length_that_commands_no_terminal(
    what: What, why: str, remedy: str, workspace: str
) -> None:
    alarm = Alarm(what, why, remedy, workspace)
    assert not HARMFUL.search(str(alarm))
    assert len(str(alarm)) < 4 * LONGEST_REASON
    text = metrics_text(
        "", [RunFigures("acme", "w1", 3, 1.0, MOMENT, alarms=(alarm,))], 3, MOMENT, [alarm, Alarm(what, why)]
    )
    assert (
        metrics_text(
            text,
            [RunFigures("acme", "w1", 3, 1.0, MOMENT, alarms=(alarm,))],
            3,
            MOMENT,
            [alarm, Alarm(what, why)],
        )
        == text
    )


@given(st.lists(TEXTS, max_size=12), st.integers(60, 5000))
def test_alarms_that_do_not_fit_are_counted(texts: list[str], room: int) -> None:
    alarms = [Alarm(What.INCOMPLETE, text, workspace="acme") for text in texts]
    told = list(told_in(alarms, room))
    assert sum(len(line.encode()) + 1 for line in told) <= room + 1
    if told != [str(alarm) for alarm in alarms]:
        assert told[-1] == f"… and {len(alarms) - len(told) + 1} more"


def test_a_file_of_figures_of_an_earlier_version_is_taken_on(tmp_path: Path) -> None:
    before = (
        '# TYPE jitsu_backup_exit_code gauge\njitsu_backup_exit_code{workspace="a",workspace_id="w1"} 0.0\n'
    )
    alarm = Alarm(What.SHRUNK, "stream: 4 before, 0 now", "look", "b")
    text = metrics_text(
        before, [RunFigures("b", "w2", 3, 1.0, MOMENT, counts={}, alarms=(alarm,))], 3, MOMENT
    )
    assert 'jitsu_backup_exit_code{workspace="a",workspace_id="w1"} 0.0' in text
    assert (
        'jitsu_backup_shrunk{reason="stream: 4 before, 0 now",remedy="look",workspace="b",workspace_id="w2"} 1.0'
        in text
    )


@pytest.mark.parametrize("what", KINDS, ids=lambda what: what.label)
def test_every_kind_has_a_name_for_figures_and_words_for_a_person(what: What) -> None:
    assert what.label.replace("_", "").isalpha()
    assert what.words or what in (What.RUN_FAILED, What.INTERRUPTED)


def test_workspaces_that_only_the_store_has_are_one_line_by_slug() -> None:
    old = parse_name("team-3.cm29srj379q32xq53rvnzja2s.20261101T120000Z.0123456789ab.json.gz")
    assert old is not None
    run = BackupRun(unseen=(old.workspace_id, "team-4"), stored_before=(old,))
    told = unseen_in_words(run, lambda name: f"jitsu-backup --config cron.toml {name}")
    assert told.startswith(
        "2 workspaces are in the store, but this key cannot see them: team-3 (cm29srj379q32xq53rvnzja2s), team-4; give"
        " the owner of the key access to them again; if they were deleted on purpose"
    )
    assert told.endswith("bring them back with `jitsu-backup --config cron.toml recover`")


def test_what_the_operators_token_cannot_see_is_gone_and_nobody_gives_access_to_it() -> None:
    gone = "the console no longer has {}, because the operator's token sees every workspace; if {} deleted on purpose"
    (alarm,) = BackupRun(unseen=("team-3",), sees_all=True).alarms(again)
    assert f"team-3 is in the store, but this key cannot see it: {gone.format('it', 'it was')}" in str(alarm)
    run = BackupRun(unseen=("team-3", "team-4"), sees_all=True)
    assert f"team-3, team-4; {gone.format('them', 'they were')}" in unseen_in_words(run, again)


def test_of_workspaces_with_one_slug_each_is_named_by_its_id() -> None:
    ids = ("cm29srj379q32xq53rvnzja2s", "cm30srj379q32xq53rvnzja2s")
    named = [f"team.{one}.20261101T120000Z.0123456789ab.json.gz" for one in ids]
    known = KnownBefore(ExpectedStore(), ArchiveKeys())
    known.add(
        [
            *filter(
                None, map(parse_name, [*named, f"shop.{ids[0][::-1]}.20261101T120000Z.0123456789ab.json.gz"])
            )
        ]
    )
    assert known.not_among(set(), (), lambda _: True) == (*ids, "shop")


def test_a_workspace_that_only_the_store_has_is_told_with_its_newest_slug_beside_its_id() -> None:
    named = "cm29srj379q32xq53rvnzja2s"
    old, new = (
        parse_name(f"{slug}.{named}.202611{day}T120000Z.0123456789ab.json.gz")
        for slug, day in (("team", "01"), ("shop", "02"))
    )
    assert old is not None
    assert new is not None
    (alarm,) = BackupRun(unseen=(named,), stored_before=(new, old)).alarms(again)
    assert f"{named} is in the store, but this key cannot see it: its archives are those of shop" in str(
        alarm
    )
    assert str(alarm).endswith("; if it or its console was lost, bring it back with `jitsu-backup recover`")


def test_for_a_person_each_command_of_an_alarm_stands_on_a_line_of_its_own() -> None:
    alarm = Alarm(
        What.SHRUNK, "it `jitsu-backup x` fell", "see `jitsu-backup a b`; or run `jitsu-backup c`, ok", "w"
    )
    assert alarm.for_a_person == (
        "w has shrunk: it `jitsu-backup x` fell; see:\n  jitsu-backup a b\nor run:\n  jitsu-backup c\nok"
    )
