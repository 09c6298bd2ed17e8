"""What is news of a workspace, up to what was told; and what a message of it says."""

import re
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from jitsu_backup.archive import ArchiveName, archive_name, sized
from jitsu_backup.archive.shrinkage import Fall
from jitsu_backup.errors import LockedError, UnreachableError
from jitsu_backup.model import Key, Refusal, Snapshot
from jitsu_backup.operations.news import (
    News,
    Told,
    after_failing,
    after_telling,
    is_over,
    news_of,
    told_as_bytes,
    told_in_bytes,
    without_news,
)
from jitsu_backup.operations.notifying import Form, address_of
from jitsu_backup.operations.save import Saved
from jitsu_backup.reports.notification import notification, slack_code
from tests.support import MOMENT, make_snapshot, run

EVERY = timedelta(minutes=15)


def again(*words: str) -> str:
    return " ".join(["jitsu-backup", *words])


def snapshot(hour: int, *functions: str, refused: tuple[Refusal, ...] = (), mask: bool = False) -> Snapshot:
    lists = {"function": [{"id": name, "name": name, "code": name} for name in functions]}
    links = [{"id": "l1", "fromId": "a", "toId": "b", "data": {"x": "__MASKED_BY_JITSU__"}}] if mask else []
    made = make_snapshot({**lists, "link": links}, refused=refused)
    return replace(made, taken_at=MOMENT + timedelta(hours=hour))


def saved(one: Snapshot, *, written: bool = True) -> Saved:
    return Saved(one, "", archive_name(one), written=written)


def news(one: Saved, told: Told | None, *before: Snapshot) -> News | None:
    """What is new, in a store with what was there before."""
    known = {str(archive_name(other)): other for other in before}

    async def read(archive: ArchiveName) -> Snapshot:
        return known[str(archive)]

    found: News | None = run(news_of(one, map(archive_name, before), told, read))
    return found


def named(found: News | None) -> list[str]:
    assert found is not None
    assert found.changes is not None
    return [change.name for change in found.changes.entities]


def test_changes_are_reported_since_what_was_told_last_and_not_twice() -> None:
    one, two, three = snapshot(0, "a"), snapshot(1, "a", "b"), snapshot(2, "a", "b", "c")
    assert named(news(saved(three), None, one, two)) == ["c"]
    told = Told(MOMENT, str(archive_name(one)), str(archive_name(one)))
    found = news(saved(three), told, one, two)
    assert named(found) == ["b", "c"]
    assert found is not None
    after = after_telling(found, MOMENT, told)
    assert news(saved(three, written=False), after, one, two, three) is None


def test_a_first_backup_that_could_not_be_reported_is_reported_with_the_next_that_has_the_same() -> None:
    one = snapshot(0, "a")
    first = news(saved(one), None)
    assert first is not None
    failed = after_failing(first, MOMENT, None)
    later = news(saved(snapshot(1, "a")), failed, one)
    assert later is not None
    assert later.before is None
    assert news(saved(snapshot(2, "a")), after_telling(later, MOMENT, failed), one, snapshot(1, "a")) is None


def test_what_could_not_be_reported_is_reported_with_the_next_even_if_nothing_changes_until_then() -> None:
    first = news(saved(snapshot(0, "a")), None)
    assert first is not None
    assert first.before is None
    untold = after_failing(first, MOMENT, None)
    again = news(saved(snapshot(0, "a"), written=False), untold, snapshot(0, "a"))
    assert again == first
    one, two = snapshot(0, "a"), snapshot(1, "a", "b")
    found = news(saved(two), None, one)
    assert found is not None
    untold = after_failing(found, MOMENT, None)
    assert named(news(saved(two, written=False), untold, one, two)) == ["b"]


def test_an_incomplete_backup_is_mentioned_once_and_its_changes_are_reported_once_it_is_whole() -> None:
    lacking = (Refusal("stream", "HTTP 500"),)
    one, two = snapshot(0, "a"), snapshot(1, refused=lacking)
    told = Told(MOMENT, str(archive_name(one)), str(archive_name(one)))
    found = news(saved(two), told, one)
    assert found is not None
    message = notification(found, again)
    assert message.subject == "jitsu-backup: acme-staging: incomplete"
    assert (
        "The changes could not be determined: the backup is incomplete, as the run's alarm says."
        in message.text
    )
    assert message.document["event"] == "incomplete"
    told = after_telling(found, MOMENT, told)
    assert told.compared == str(archive_name(one))
    later = snapshot(2, refused=lacking)
    assert news(saved(later), told, one, two) is None
    assert named(news(saved(snapshot(3, "a", "b")), told, one, two, later)) == ["b"]


def test_what_a_weaker_key_reads_is_compared_with_what_such_a_key_has_read() -> None:
    strong, weak = snapshot(0, "a"), snapshot(1, "a", mask=True)
    found = news(replace(saved(weak), better=archive_name(strong)), None, strong)
    assert found is not None
    assert found.why_not == "no earlier archive was read with an equal key"
    message = notification(found, again)
    assert message.subject == "jitsu-backup: acme-staging: read with another key; not compared"
    assert "Alarm: it was read with a weaker key than before. " in message.text
    assert "\nChanges are not shown, because no earlier archive was read with an equal key.\n" in message.text
    assert (message.document["event"], message.document["alarm"]) == (
        "not_compared",
        "was read with a weaker key than before",
    )
    assert named(news(saved(snapshot(2, "a", "b", mask=True)), None, strong, weak)) == ["b"]


def test_what_cannot_be_opened_is_reported_by_its_counts() -> None:
    async def read(_: ArchiveName) -> Snapshot:
        raise LockedError("no key")

    one, two = snapshot(0, *"abcd"), snapshot(1, *"abcde")
    found = run(news_of(saved(two), [archive_name(one)], None, read))
    assert "Number of entities: function 4 → 5." in notification(found, again).text


async def unreadable(_: ArchiveName) -> Snapshot:
    raise LockedError("no key")


def test_a_change_that_the_summary_in_the_name_does_not_show_is_a_change() -> None:
    one = snapshot(0, "a")
    before = sized(archive_name(one), one, 9)
    for name in map(str, range(1000)):  # the summary stays the same one time in 16
        body = {"id": "a", "name": name}
        two = replace(make_snapshot({"function": [body], "link": []}), taken_at=MOMENT + timedelta(hours=1))
        now = sized(archive_name(two), two, 9)
        if now.sketch == before.sketch:
            break
    assert (now.sketch, now.counts) == (before.sketch, before.counts)
    message = notification(run(news_of(Saved(two, "", now), [before], None, unreadable)), again)
    assert message.subject == "jitsu-backup: acme-staging: changed"
    assert "\nNumber of entities: unchanged for each type.\n" in message.text
    assert "\nWhich entities changed cannot be seen without the private key.\n" in message.text
    assert "probably" not in message.text


def test_where_no_archive_can_be_opened_the_same_entities_are_no_news() -> None:
    one = snapshot(0, "a")
    told = Told(MOMENT, str(archive_name(one)), str(archive_name(one)))
    told = without_news(saved(one), told) or told
    assert told_in_bytes(told_as_bytes(told)) == told
    source = replace(one.manifest.source, role="editor")
    other = replace(snapshot(1, "a"), manifest=replace(one.manifest, source=source))
    assert run(news_of(saved(other), [archive_name(one)], told, unreadable)) is None
    changed = snapshot(2, "b")
    assert run(news_of(saved(changed), [archive_name(one)], told, unreadable)) is not None
    none = snapshot(0)
    empty = replace(snapshot(1), manifest=replace(none.manifest, source=source))
    assert run(news_of(saved(empty), [archive_name(none)], None, unreadable)) is None


def test_a_type_that_a_name_has_no_room_for_is_not_compared() -> None:
    one, two = snapshot(0, *"abcd"), snapshot(1, *"abcde", mask=True)
    before, now = archive_name(one), archive_name(two)
    before = replace(before, counts={}, marks=now.marks)
    found = run(news_of(Saved(two, "", replace(now, counts={})), [before], None, unreadable))
    assert found is not None
    assert "Number of entities: 4 → 6." in notification(found, again).text
    known = replace(found, before=replace(before, counts={"function": 4}, total=4))
    assert "Number of entities: function 4 → 5, link 0 → 1." in notification(known, again).text


def test_a_workspace_that_recovers_is_still_shrunk() -> None:
    one, two = snapshot(0, *"abc"), snapshot(1, *"abcd")
    fall = Fall("function", 5, 4)
    shrunk = replace(archive_name(one), marks=("shrunk",))
    held = replace(saved(two), falls=(fall,))

    async def read(_: ArchiveName) -> Snapshot:
        return one

    found = run(news_of(held, [shrunk], None, read))
    message = notification(found, again)
    assert message.subject == "jitsu-backup: acme-staging: still shrunk: function 4 of 5"
    assert message.text.startswith("acme-staging: still shrunk: function 4 of 5; 1 change since ")
    worse = run(news_of(replace(held, falls=(Fall("function", 5, 2),)), [shrunk], None, read))
    assert notification(worse, again).subject == "jitsu-backup: acme-staging: shrunk"


def test_where_the_archive_of_what_was_told_is_gone_the_nearest_earlier_one_shows_all() -> None:
    zero, one, two, three = (snapshot(hour, *"abcd"[: hour + 1]) for hour in range(4))
    told = Told(MOMENT, str(archive_name(one)), str(archive_name(one)))
    found = news(saved(three), told, zero, two)
    assert named(found) == ["b", "c", "d"]
    assert found is not None
    assert not found.gone
    later = news(saved(three), told, two)
    assert named(later) == ["d"]
    assert later is not None
    assert later.gone


def test_what_was_reported_is_not_reported_again_once_its_archive_is_damaged_or_quarantined() -> None:
    zero, one, same = snapshot(0, "a"), snapshot(1, "a", "b"), snapshot(2, "a", "b")
    told = Told(MOMENT, str(archive_name(one)), str(archive_name(one)))
    assert news(saved(same), told, zero) is None
    assert named(news(saved(snapshot(2, "a", "c")), told, zero)) == ["c"]


def test_a_change_that_only_archives_that_are_gone_show_is_no_silence() -> None:
    one, two, three = snapshot(0, "a"), snapshot(1, "a", "b"), snapshot(2, "a", "b")
    told = Told(MOMENT, str(archive_name(one)), str(archive_name(one)))
    for found in (news(saved(three), told, two), news(saved(three), told)):
        assert found is not None
        assert found.before == archive_name(one)
        text = notification(found, again).text
        assert (
            "The changes could not be determined: the archive to compare it with no longer exists.\n" in text
        )
        assert f"Details: jitsu-backup show {archive_name(three).reference}" in text
    assert news(saved(snapshot(2, "a")), told, two) is None


def test_a_store_that_cannot_be_read_now_makes_nothing_be_forgotten() -> None:
    async def read(_: ArchiveName) -> Snapshot:
        raise UnreachableError("the store is away")

    one, two = snapshot(0, "a"), snapshot(1, "b")
    with pytest.raises(UnreachableError):
        run(news_of(saved(two), [archive_name(one)], None, read))


def test_nothing_is_news_where_nothing_changed_but_the_time() -> None:
    one, two = snapshot(0, "a"), snapshot(1, "a")
    assert news(saved(two), None, one) is None
    assert news(saved(two, written=False), None, one) is None


def test_a_message_names_who_and_the_command_for_a_page_and_no_more_than_ten_entities() -> None:
    names = [f"f{number:02}" for number in range(13)]
    found = news(saved(snapshot(1, *names)), None, snapshot(0))
    assert found is not None
    found = replace(found, who={Key("function", "f00"): "<@U1>, in the UI"})
    message = notification(found, again)
    assert message.subject == "jitsu-backup: acme-staging: 13 changes"
    assert "• function 'f00': added — by '<@U1>, in the UI'\n" in message.text
    assert "• function `f00`: added — by `&lt;@U1&gt;, in the UI`\n" in message.slack
    assert "… and 3 more\nDetails: jitsu-backup diff " in message.text
    assert message.text.endswith(" --html changes.html")
    assert len(message.document["changes"]) == 13
    assert message.document["changes"][0]["who"] == "<@U1>, in the UI"


@pytest.mark.parametrize(
    "name", ["&" * 100_000, "\u202e<!channel>\n" * 9, "`@everyone` [x](https://evil.example)"]
)
def test_a_message_of_many_changes_with_long_names_fits_everywhere(name: str) -> None:
    functions = [{"id": f"f{number}", "name": f"{name}{number}", "code": ""} for number in range(500)]
    many = make_snapshot({"function": functions})
    slug = "<!here>\r\nBcc: x" + "y" * 100_000
    manifest = replace(many.manifest, source=replace(many.manifest.source, slug=slug))
    found = news(
        saved(replace(many, manifest=manifest, taken_at=MOMENT + timedelta(hours=1))), None, snapshot(0)
    )
    assert found is not None
    message = notification(replace(found, alarm="<!channel> " * 1000), again)
    assert len(message.slack) <= 1_900
    assert "<" not in message.slack
    assert message.slack.count("`") % 2 == 0
    assert re.search(r"^… and 49\d more$|^… and 500 more$", message.slack, re.MULTILINE)
    assert len(message.subject) < 200
    assert not set("\r\n\u202e") & set(message.subject)
    assert len(message.text) < 10_000
    assert len(orjson.dumps(message.document)) < 200_000


def test_a_type_that_the_console_made_up_does_nothing_in_slack() -> None:
    made = make_snapshot({"<!channel>": [{"id": "x", "name": "X"}]})
    found = news(saved(replace(made, taken_at=MOMENT + timedelta(hours=1))), None, snapshot(0))
    assert found is not None
    assert "• &lt;!channel&gt; `X`: added" in notification(found, again).slack


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a`b", "`a'b`"), ("<!here>\n&", "`&lt;!here&gt; &amp;`"), ("", "`(blank)`"), ("\u202ex", "`\N{REPLACEMENT CHARACTER}x`"), ("y" * 200, None)],
)  # fmt: skip
def test_a_text_in_slack_is_one_short_line_of_code(text: str, shown: str | None) -> None:
    found = slack_code(text)
    assert found == shown or (shown is None and len(found) < 90)


def test_memory_goes_through_a_file_and_silence_ends_also_when_the_clock_goes_back() -> None:
    told = Told(MOMENT, "a", "b")
    assert told_in_bytes(told_as_bytes(told)) == told
    for damaged in (b"", b"{}", b"[]", b'{"at": 1, "archive": "", "compared": ""}', b'{"at": "x"}'):
        assert told_in_bytes(damaged) is None
    assert not is_over(MOMENT, EVERY, MOMENT)
    assert not is_over(MOMENT, EVERY, MOMENT + EVERY - timedelta(seconds=1))
    assert is_over(MOMENT, EVERY, MOMENT + EVERY)
    assert is_over(MOMENT, EVERY, MOMENT - timedelta(days=1))


@pytest.mark.parametrize(
    ("text", "form", "shown"),
    [
        ("https://hooks.slack.com/services/T/B/CANARY", Form.SLACK, "hooks.slack.com"),
        ("https://hooks.slack-gov.com/services/T/B/CANARY", Form.SLACK, "hooks.slack-gov.com"),
        ("https://discord.com/api/webhooks/1/CANARY/slack", Form.SLACK, "discord.com"),
        ("https://discord.com/api/webhooks/1/CANARY", Form.JSON, "discord.com"),
        ("slack:https://chat.example.com/hooks/CANARY", Form.SLACK, "chat.example.com"),
        ("https://user:CANARY@example.com/CANARY", Form.JSON, "example.com"),
        ("http://hooks.slack.com.example.com/CANARY", Form.JSON, "hooks.slack.com.example.com"),
        ("mailto:a@example.com, b@example.com", Form.MAIL, "a@example.com, b@example.com"),
    ],
)
def test_an_address_shows_its_host_alone(text: str, form: Form, shown: str) -> None:
    found = address_of(text)
    assert (found.form, found.shown) == (form, shown)
    assert "CANARY" not in repr(found) + str(found)
