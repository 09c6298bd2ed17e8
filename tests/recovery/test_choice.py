"""Which archives a recovery takes, and of which workspaces."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from jitsu_backup.archive import (
    ACCEPTED,
    CLONED,
    CLONING,
    INCOMPLETE,
    OPERATOR,
    PRE_RESTORE,
    SHRUNK,
    UNCOMPARED,
    WEAKER,
    ArchiveName,
    source_mark,
)
from jitsu_backup.cli.recovery_job import check_names
from jitsu_backup.errors import SeveralConsolesError, UsageError
from jitsu_backup.model import Source
from jitsu_backup.operations.recovered import was_recovered
from jitsu_backup.operations.recovery.choice import (
    Living,
    Opened,
    candidates,
    choose,
    same_host,
    with_secrets,
    without_whole,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOST, OTHER = "http://lost.example", "http://new.example"


def archive(
    workspace_id: str = "ca",
    hours: float = 0,
    *marks: str,
    slug: str = "acme",
    total: int = 3,
    damaged: bool = False,
) -> ArchiveName:
    return ArchiveName(
        slug, workspace_id, NOON + timedelta(hours=hours), f"{int(hours * 100) + 4096:012x}", marks, total=total,
        size=100, sketch="0" * 16, found=50 if damaged else 100,
    )  # fmt: skip


def test_an_older_archive_of_the_operator_is_named_if_the_one_that_is_used_was_read_with_a_key() -> None:
    newest, operators, oldest = archive(hours=-1), archive("ca", -2, OPERATOR), archive("ca", -3, OPERATOR)
    (candidate,) = candidates([newest, operators, oldest], NOON + timedelta(days=1))
    assert candidate.archives[0] == newest
    assert with_secrets(newest, candidate) == operators
    assert with_secrets(operators, candidate) is None


def opened(one: ArchiveName, host: str = HOST, created: str | None = None) -> Opened:
    return Opened(one, Source(host, one.workspace_id, one.slug), created)


def record(
    target: str, source: str, hours: float, *, slug: str = "acme", intent: bool = False
) -> ArchiveName:
    return archive(target, hours, CLONING if intent else CLONED, source_mark(HOST, source), slug=slug)


def taken(*known: ArchiveName, at: datetime | None = None) -> list[str]:
    found = candidates(known, NOON + timedelta(days=1), at)
    return [str(one.archives[0]) if one.archives else "" for one in found]


def test_the_newest_whole_archive_is_taken_and_a_newer_one_that_is_not_whole_is_reported() -> None:
    whole, older = archive(hours=-2), archive(hours=-3)
    for mark, why, code in (
        (INCOMPLETE, "incomplete", 3),
        (SHRUNK, "many entities are missing", 0),  # like every backup made after the loss
        (WEAKER, "weaker", 3),
        (UNCOMPARED, "compared", 3),
    ):
        newer = archive("ca", -1, mark)
        (found,) = candidates([older, newer, whole], NOON)
        assert found.archives == (whole, older)
        (past,) = found.passed_over
        assert (past.archive, past.exit_code) == (newer, code)
        assert why in past.why


def test_a_damaged_archive_is_passed_over_as_damaged() -> None:
    whole, newer = archive(hours=-2), archive(hours=-1, damaged=True)
    (found,) = candidates([newer, whole], NOON)
    assert found.archives == (whole,)
    assert found.passed_over[0].exit_code == 5


def test_what_restores_set_aside_and_what_is_yet_to_come_is_no_backup() -> None:
    whole = archive(hours=-2)
    aside = [archive("ca", -1, PRE_RESTORE), record("ca", "cb", -1), archive(hours=5)]
    (found,) = candidates([whole, *aside], NOON)
    assert (found.archives, found.passed_over) == ((whole,), ())
    assert candidates(aside, NOON) == []


def test_an_archive_of_a_weaker_key_counts_once_it_was_accepted() -> None:
    accepted = archive("ca", -1, ACCEPTED, WEAKER)
    assert taken(archive(hours=-2), accepted) == [str(accepted)]


def test_a_workspace_without_a_whole_archive_is_left_out_with_its_reason() -> None:
    (found,) = candidates([archive("ca", -1, INCOMPLETE)], NOON)
    told = without_whole(found)
    assert told.exit_code == 3
    assert "is incomplete" in told.why
    assert "`restore` it by its id" in told.why


def test_a_damaged_archive_is_never_offered_to_restore() -> None:
    (found,) = candidates([archive("ca", -1, damaged=True)], NOON)
    told = without_whole(found)
    assert told.exit_code == 5
    assert "the only one, " in told.why
    assert "it is damaged: it has 50 of 100 bytes; nothing can open it; get the file from a copy" in told.why
    assert "`restore`" not in told.why
    assert "older" not in told.why
    (found,) = candidates([archive("ca", -1, damaged=True), archive("ca", -2, damaged=True)], NOON)
    assert without_whole(found).why.endswith("; `snapshots` lists its older ones")


def test_two_consoles_have_to_be_told_apart() -> None:
    one, other = opened(archive("ca", -1)), opened(archive("cb", -2, slug="beta"), OTHER)
    with pytest.raises(
        UsageError,
        match=r"several consoles: http://lost\.example \(1 workspace.*; choose one with --from HOST$",
    ):
        choose([one, other], [], [])
    assert choose([one, other], [], [], from_host="new.example").kept == (other,)
    assert choose([one, other], [], [], from_host=f"{HOST}/").kept == (one,)
    with pytest.raises(UsageError, match="no archive of the console http://third"):
        choose([one, other], [], [], from_host="http://third.example")


def test_the_question_for_the_console_counts_what_it_would_recover_also_what_was_recovered_elsewhere() -> (
    None
):
    lost = [archive(f"ca{n}", -5, slug=f"team-{n}") for n in range(5)]
    again = [archive(f"cn{n}", -1, slug=f"team-{n}") for n in range(3)]
    known = [*lost, *again, *(record(f"cn{n}", f"ca{n}", -2, slug=f"team-{n}") for n in range(3))]
    mine = [*map(opened, lost), *(opened(one, OTHER) for one in again)]
    counted = r"lost\.example \(5 workspaces.*new\.example \(3 workspaces"
    for from_host in (None, "nowhere"):
        with pytest.raises(UsageError, match=counted):
            choose(mine, known, [], from_host=from_host)
    assert len(choose(mine, known, [], from_host=HOST).kept) == 5


def test_the_question_for_the_console_names_the_one_of_the_newest_archive() -> None:
    mine = [opened(archive("ca", -2)), opened(archive("cb", -1, slug="beta"), OTHER)]
    with pytest.raises(SeveralConsolesError) as raised:
        choose(mine, [one.archive for one in mine], [])
    assert raised.value.newest == "http://new.example"


def test_what_lives_on_the_target_gives_no_reason_to_ask_for_the_console() -> None:
    gone, there = opened(archive("ca", -1)), opened(archive("cb", -1, slug="beta"), OTHER)
    chosen = choose([gone, there], [], [Living("cb", "beta")])
    assert (chosen.host, chosen.kept) == (HOST, (gone,))


def test_what_lives_is_asked_about_if_it_has_archives_of_the_lost_console_too() -> None:
    gone, there = opened(archive("ca", -1)), opened(archive("cb", -1, slug="beta"), OTHER)
    living = [Living("cb", "beta")]
    earlier = archive("cb", -3, slug="beta")
    with pytest.raises(UsageError, match="several consoles"):
        choose([gone, there], [], living, elsewhere=[opened(earlier)])
    third = opened(earlier, "http://third.example")
    assert choose([gone, there], [], living, elsewhere=[third]).of_others == (there,)
    empty = opened(replace(earlier, total=0))  # restores nothing, so there is nothing to choose
    assert choose([gone, there], [], living, elsewhere=[empty]).of_others == (there,)


def test_what_is_not_recovered_does_not_choose_the_console() -> None:
    one, other = opened(archive("ca", -1)), opened(archive("cb", -2, slug="beta"), OTHER)
    for living in ([], [Living("ca", "acme")]):  # in a drill, nothing exists
        for limits in ({"gone": ["beta"]}, {"names": ["acme"]}):
            chosen = choose([one, other], [], living, **limits)
            assert (chosen.host, chosen.kept, chosen.of_others) == (HOST, (one,), ())


def test_if_nothing_is_lost_the_console_that_is_written_into_is_the_source() -> None:
    one, other = opened(archive("ca", -1)), opened(archive("cb", -2, slug="beta"), OTHER)
    living = [Living("ca", "acme"), Living("cb", "beta")]
    chosen = choose([one, other], [], living, target_host=OTHER)
    assert (chosen.host, chosen.kept) == (OTHER, (one, other))
    assert choose([one, other], [], living, target_host="http://third.example").host == HOST


def test_a_recovered_workspace_is_the_target_of_the_lost_one_whatever_was_backed_up_since() -> None:
    lost, backup = archive("ca", -5), archive("cnew", -1)
    known = [lost, record("cnew", "ca", -2), backup]
    chosen = choose([opened(lost), opened(backup, OTHER)], known, [Living("cnew", "acme")])
    assert [one.source.workspace_id for one in chosen.kept] == ["ca"]
    assert chosen.successors == {"ca": "cnew"}


def test_a_recovered_workspace_that_is_lost_too_takes_the_place_of_the_first() -> None:
    first, second = archive("ca", -5), archive("cnew", -1)
    known = [first, record("cnew", "ca", -2), second, record("cnew", "ca", -0.5)]
    chosen = choose([opened(first), opened(second)], known, [])
    assert [one.source.workspace_id for one in chosen.kept] == ["cnew"]
    assert [one.workspace_id for one in chosen.left_out] == ["ca"]
    assert chosen.left_out[0].exit_code == 0


def test_a_backup_of_a_half_recovered_workspace_never_takes_the_place_of_the_whole_one() -> None:
    first, half = archive("ca", -5), archive("cnew", -1)
    for known in ([record("cnew", "ca", -2, intent=True)], [record("cnew", "ca", -0.5)]):
        chosen = choose([opened(first), opened(half)], [first, half, *known], [])
        assert [one.source.workspace_id for one in chosen.kept] == ["ca"]


def test_a_workspace_that_was_made_and_backed_up_empty_is_a_target() -> None:
    lost, empty = archive("ca", -5), archive("cnew", -1, total=0)
    chosen = choose([opened(lost), opened(empty, OTHER)], [lost, empty], [Living("cnew", "acme")])
    assert [one.source.workspace_id for one in chosen.kept] == ["ca"]


def test_a_clone_is_no_recovery() -> None:
    staging, production = archive("cs", -5, slug="staging"), archive("cp", -5, slug="production")
    known = [staging, production, record("cp", "cs", -4, slug="production")]
    chosen = choose([opened(staging), opened(production)], known, [Living("cp", "production")])
    assert {one.source.workspace_id for one in chosen.kept} == {"cs", "cp"}
    assert chosen.successors == {}


def test_of_two_workspaces_with_one_slug_that_which_lives_keeps_it_else_the_newer_archive() -> None:
    older, newer = archive("ca", -5), archive("cb", -1)
    both = [opened(older), opened(newer)]
    assert [one.source.workspace_id for one in choose(both, [older, newer], []).kept] == ["cb"]
    chosen = choose(both, [older, newer], [Living("ca", "acme")])
    assert [one.source.workspace_id for one in chosen.kept] == ["ca"]
    assert [(one.workspace_id, one.exit_code) for one in chosen.left_out] == [("cb", 3)]
    assert "--workspace ID" in chosen.left_out[0].why
    assert [one.source.workspace_id for one in choose(both, [], [], names=["ca"]).kept] == ["ca"]


def test_another_workspace_with_the_same_id_is_not_the_one_that_was_lost() -> None:
    lost = opened(archive("ca", -5), created="2025-01-01T00:00:00.000Z")
    mine = opened(archive("cb", -1), created="2025-01-02T00:00:00.000Z")
    chosen = choose([lost, mine], [], [Living("ca", "other", "2026-11-23T00:00:00.000Z")])
    assert [one.source.workspace_id for one in chosen.kept] == ["cb"]


def test_what_is_gone_on_purpose_is_left_out_unless_it_is_named() -> None:
    one, other = opened(archive("ca", -1)), opened(archive("cb", -1, slug="beta"))
    chosen = choose([one, other], [], [], gone=["beta"])
    assert chosen.kept == (one,)
    assert [(told.slug, told.exit_code) for told in chosen.left_out] == [("beta", 0)]
    assert choose([one, other], [], [], gone=["beta"], names=["beta"]).kept == (other,)


def test_a_name_that_nothing_has_is_reported_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="no workspace 'nope' of this console; it has acme"):
        choose([opened(archive())], [], [], names=["nope"])


ARCHIVES = st.lists(
    st.builds(
        archive,
        st.sampled_from(["ca", "cb", "cc"]),
        st.integers(-200, 20).map(lambda tenth: tenth / 10),
        slug=st.sampled_from(["acme", "beta"]),
        total=st.sampled_from([0, 3]),
        damaged=st.booleans(),
    ).flatmap(
        lambda one: st.sampled_from(
            [(), (INCOMPLETE,), (SHRUNK,), (WEAKER,), (UNCOMPARED,), (PRE_RESTORE,)]
        ).map(lambda marks: replace(one, marks=marks))
    ),
    max_size=12,
    unique_by=str,
)


@given(ARCHIVES, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_the_listing(
    known: list[ArchiveName], order: random.Random
) -> None:
    shuffled = list(known)
    order.shuffle(shuffled)
    assert candidates(shuffled, NOON) == candidates(known, NOON)
    mine = [opened(one.archives[0]) for one in candidates(known, NOON) if one.archives]
    there = [Living("cb", "acme")]
    mixed = list(mine)
    order.shuffle(mixed)
    assert choose(mixed, shuffled, there) == choose(mine, known, there)


@given(ARCHIVES, st.integers(-200, 20))
def test_nothing_newer_than_the_moment_is_taken(known: list[ArchiveName], tenth: int) -> None:
    at = NOON + timedelta(hours=tenth / 10)
    for one in candidates(known, NOON, at):
        assert all(
            each.taken_at <= at for each in (*one.archives, *(past.archive for past in one.passed_over))
        )


@given(ARCHIVES)
def test_every_workspace_with_a_backup_is_taken_or_reported(known: list[ArchiveName]) -> None:
    found = candidates(known, NOON)
    mine = [opened(one.archives[0]) for one in found if one.archives]
    chosen = choose(mine, known, [])
    told = {one.workspace_id for one in chosen.left_out} | {
        one.workspace_id for one in found if not one.archives
    }
    kept = {one.source.workspace_id for one in chosen.kept}
    assert kept.isdisjoint(told)
    assert kept | told == {one.workspace_id for one in found}
    assert len({one.slug for one in chosen.kept}) == len(chosen.kept)


@given(ARCHIVES, st.data())
def test_a_partly_recovered_console_leads_to_the_same_choice(
    known: list[ArchiveName], data: st.DataObject
) -> None:
    """What a recovery leaves in the store, at whatever point it is killed, and backups of that, change nothing."""
    mine = [opened(one.archives[0]) for one in candidates(known, NOON) if one.archives]
    first = choose(mine, known, [])
    there, left, later = [], [], []
    for number, one in enumerate(first.kept):
        stage = data.draw(st.sampled_from(["lost", "made", "begun", "ended"]))
        if stage == "lost":
            continue
        new, slug = f"cn{number}", one.slug
        there.append(Living(new, slug))
        if stage != "made":
            left.append(record(new, one.source.workspace_id, 21, slug=slug, intent=stage == "begun"))
        if data.draw(st.booleans()):
            backup = archive(new, 22, slug=slug, total=0 if stage == "made" else 2)
            left.append(backup)
            later.append(opened(backup, OTHER))
    again = choose([*mine, *later], [*known, *left], there)
    assert [one.archive for one in again.kept] == [one.archive for one in first.kept]


def test_a_slug_that_is_gone_on_purpose_is_not_that_of_a_workspace_which_lives() -> None:
    mine = opened(archive("ca"))
    for gone, living, left in (
        (("acme",), Living("cb", "acme"), []),
        (("acme",), Living("cb", "other"), ["ca"]),
        (("ca",), Living("cb", "acme"), ["ca"]),
    ):
        chosen = choose([mine], [], [living], gone=gone)
        assert [one.workspace_id for one in chosen.left_out] == left


def test_a_slug_that_is_gone_on_purpose_is_not_that_of_what_was_recovered_of_it() -> None:
    first, second = archive("ca", -3), archive("cb", -1)
    known = [first, record("cb", "ca", -2), second]
    chosen = choose([opened(first), opened(second)], known, [], gone=("acme",))
    assert [one.archive.workspace_id for one in chosen.kept] == ["cb"]
    assert not choose([opened(first), opened(second)], known, [], gone=("cb", "ca")).kept


def test_a_workspace_was_recovered_where_a_newer_record_is_of_one_with_its_slug() -> None:
    newest = archive("ca", -2)
    assert was_recovered(newest, [archive("cb", 0), record("cb", "ca", -1)])
    for other in (
        archive("cb", 0),
        record("cb", "ca", -1, intent=True),
        record("cb", "ca", -3),
        record("cb", "ca", -1, slug="acme-copy"),
    ):
        assert not was_recovered(newest, [other])


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("http://127.0.0.1:3121", "127.0.0.1"),
        ("http://127.0.0.1:3121", "127.0.0.1:3121"),
        ("http://127.0.0.1:3121", "HTTP://127.0.0.1:3121/"),
        ("https://jitsu.example.com", "jitsu.example.com"),
        ("https://jitsu.example.com", "Jitsu.Example.com:443"),
        ("https://jitsu.example.com", "https://jitsu.example.com:443"),
        ("https://example.com/jitsu", "example.com"),
        ("https://example.com/jitsu", "example.com/jitsu/"),
        ("http://[::1]:3121", "[::1]"),
    ],
)
def test_a_console_is_found_as_a_person_writes_its_address(host: str, named: str) -> None:
    assert same_host(host, named)


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("http://127.0.0.1:3121", "127.0.0.1:3122"),
        ("http://127.0.0.1:3121", "http://127.0.0.1"),
        ("http://127.0.0.1:3121", "127.0.0"),
        ("https://jitsu.example.com", "http://jitsu.example.com"),
        ("https://jitsu.example.com", "example.com"),
        ("https://example.com/jitsu", "https://example.com"),
        ("https://example.com", "example.com:port"),
        ("https://example.com", ""),
    ],
)
def test_another_console_is_not_found(host: str, named: str) -> None:
    assert not same_host(host, named)


def test_a_host_name_that_may_mean_several_consoles_is_asked_about() -> None:
    one = opened(archive("ca", slug="one"), host="http://127.0.0.1:3121")
    other = opened(archive("cb", slug="two"), host="http://127.0.0.1:3122")
    with pytest.raises(UsageError, match=r"matches several consoles.*:3121.*:3122"):
        choose([one, other], [], [], from_host="127.0.0.1")
    assert choose([one, other], [], [], from_host="127.0.0.1:3122").kept == (other,)


def test_a_console_that_was_recovered_is_still_found_by_its_name() -> None:
    lost, later = archive("ca", -5), archive("cb", -1)
    known = [lost, record("cb", "ca", -4), later]
    found = [opened(lost), opened(later, host=OTHER)]
    assert [one.archive for one in choose(found, known, []).kept] == [later]
    assert [one.archive for one in choose(found, known, [], from_host=HOST).kept] == [lost]
    chosen = choose(found, known, [Living("cb", "acme")], from_host=HOST)
    assert ([one.archive for one in chosen.kept], chosen.successors) == ([lost], {"ca": "cb"})


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("", (), ()), "--from is empty; give the console"),
        (("https://u:CANARY@h", (), ()), "--from: not the address of a console; write it"),
        (("h?CANARY", (), ()), "--from: not the address of a console; write it"),
        ((None, (" ",), ()), "--workspace is empty; give the slug"),
        ((None, (), ("",)), "--first is empty; give the slug"),
        ((None, (), ("'acme'",)), "--first 'acme': leave out the quotation marks"),
        ((None, ('"acme"',), ()), '--workspace "acme": leave out the quotation marks'),
    ],
)
def test_names_that_cannot_be_meant_are_rejected_and_not_repeated(
    names: tuple[str | None, tuple[str, ...], tuple[str, ...]], words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_names(*names)
    assert str(caught.value).startswith(words)
    assert "CANARY" not in str(caught.value)


def test_names_that_can_be_meant_are_taken() -> None:
    for host in (None, "jitsu.example", "http://localhost:3000", "https://jitsu.example/base/", "[::1]:3000"):
        check_names(host, ["acme"], ["o'neill"])
