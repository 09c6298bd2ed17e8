"""References to what a snapshot does not hold, and what `verify` makes of them."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from jitsu_backup.archive import archive_name, encode
from jitsu_backup.catalogue import dangling_references
from jitsu_backup.model import Key, Refusal, Snapshot
from jitsu_backup.operations.come_back import Rehearsal
from jitsu_backup.operations.verify import alarms_of, check_archive
from jitsu_backup.planning import Residue
from tests.advice import folded
from tests.planning.scenarios.scenario import DB, RUNS, WEB, builder, link, side
from tests.support import cli


def dangling(**lists: object) -> list[tuple[str, str, bool]]:
    found = dangling_references(side({name.replace("_", "-"): bodies for name, bodies in lists.items()}))  # type: ignore[misc]
    return [(str(one.key), one.missing_id, one.dead) for one in found]


def test_a_connection_without_an_end_is_dead_with_all_that_it_runs() -> None:
    assert dangling(stream=[WEB], link=[link("l1", "web-1", "gone", RUNS)]) == [
        ("link/l1", "gone", True),
        ("link/l1", "enrich", True),
    ]


def test_a_connection_or_builder_that_lives_and_lacks_a_function_cannot_come_back() -> None:
    runs = {"connectionOptions": RUNS}
    assert dangling(
        stream=[WEB], destination=[DB], link=[link("l1", "web-1", "db-1", RUNS)],
        profile_builder=[builder("pb-1", "pf-1", "db-1", **runs), builder("pb-2", "pf-2", "gone")],
    ) == [
        ("link/l1", "enrich", False),
        ("profile-builder/pb-1", "enrich", False),
        ("profile-builder/pb-2", "gone", False),
    ]  # fmt: skip


def test_a_classic_key_of_a_deleted_stream_harms_nobody() -> None:
    assert dangling(misc=[{"id": "m", "name": "M", "value": "gone=key"}]) == [("misc/m", "gone", True)]


def test_what_names_a_type_that_could_not_be_read_is_not_called_dangling() -> None:
    lists = {"stream": [WEB], "destination": [DB], "link": [link("l1", "web-1", "db-1", RUNS)]}
    assert dangling_references(side(lists, refused=(Refusal("function", "403"),))) == []


def archive_of(tmp_path: Path, snapshot: Snapshot) -> str:
    (tmp_path / "one.json.gz").write_bytes(encode(snapshot))
    return "one.json.gz"


def test_verify_ends_with_3_where_the_archive_itself_cannot_come_back_whole(tmp_path: Path) -> None:
    lists = {"stream": [WEB], "destination": [DB], "link": [link("l1", "web-1", "db-1", RUNS)]}
    name = archive_of(tmp_path, side(lists))
    done = cli("verify", name, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout.startswith("DANGLING")
    told = "dangling: link 'Web → Db-1' refers to the function enrich, which is not in the archive"
    assert told in done.stdout
    logged = cli("verify", name, "--log-format", "json", cwd=tmp_path)
    assert logged.returncode == 3
    line = json.loads(logged.stderr)
    assert line["reasons"] == {name: [told]}
    assert line["message"] == "1 archive: 1 with dangling references"
    (result,) = json.loads(cli("--json", "verify", name, cwd=tmp_path).stdout)["archives"]
    assert result["broken"] == ["link/l1"]


def test_what_dangles_in_several_archives_of_a_workspace_is_said_once_with_their_number(
    tmp_path: Path,
) -> None:
    lists = {"stream": [WEB], "destination": [DB], "link": [link("l1", "web-1", "db-1", RUNS)]}
    names = ["one.json.gz", "two.json.gz", "three.json.gz"]
    for name in names:
        (tmp_path / name).write_bytes(encode(side(lists)))
    done = cli("verify", *names, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout.count("DANGLING") == 3
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("dangling: ")]
    assert line.endswith("which is not in the archive (3 archives of acme-staging)")
    (alarm,) = [line for line in done.stderr.splitlines() if line.startswith("jitsu-backup: ")]
    assert "one.json.gz and 2 other archives: dangling: link" in alarm


def test_what_dangles_only_in_older_archives_is_one_line_and_no_failure(tmp_path: Path) -> None:
    ends, links = {"stream": [WEB], "destination": [DB]}, {"link": [link("l1", "web-1", "db-1", RUNS)]}
    store = tmp_path / "jitsu-backups"
    store.mkdir()

    def keep(lists: dict[str, list[dict[str, object]]], hours: int) -> None:
        taken = side(lists)
        taken = replace(taken, taken_at=taken.taken_at + timedelta(hours=hours))
        data = encode(taken)
        (store / str(archive_name(taken, size=len(data)))).write_bytes(data)

    for hours in (0, 1):
        keep({**ends, **links}, hours)
    done = cli("verify", "--all", cwd=tmp_path)
    assert (done.returncode, done.stdout.count("DANGLING"), done.stdout.count("dangling: ")) == (3, 1, 1)
    assert "1 older archive has dangling references (acme-staging); so has the newest one\n" in done.stdout
    assert "1 with dangling references" in done.stdout
    keep(ends, 2)
    done = cli("verify", "--all", cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout.count("dangling: ")) == (0, "", 0)
    told = "2 older archives have dangling references (acme-staging); the newest one has none, so there is nothing"
    assert told in done.stdout
    assert done.stdout.splitlines()[-1] == (
        "3 archives: all complete; 2 older ones with dangling references, which is no failure."
    )
    named = cli("verify", "acme-staging/latest~1", cwd=tmp_path)
    assert (named.returncode, named.stdout.startswith("DANGLING")) == (3, True)


def test_the_remedy_names_the_newest_archive_that_holds_what_is_missing_or_how_to_find_it() -> None:
    ends = {"stream": [WEB], "destination": [DB], "link": [link("l1", "web-1", "db-1", RUNS)]}
    whole, broken = side({**ends, "function": [{"id": "enrich", "name": "Enrich"}]}), side(ends)
    name = str(archive_name(broken))
    newest = check_archive(name, broken)
    older = check_archive(str(archive_name(whole)), whole, superseded=True, wanted=newest.needs)
    assert [*map(str, older.holds)] == ["function/enrich"]

    def again(*words: str) -> str:
        return " ".join(words)

    (alarm,) = alarms_of(newest, again, checked=[newest, older])
    restore = f"restore {older.short_name} --only function/enrich --with-links --dry-run"
    assert f"see what brings it back, connected as it was, with `{restore}`" in alarm.remedy
    (alarm,) = alarms_of(newest, again, checked=[newest])
    assert "see which archive still has it" in alarm.remedy
    assert "`history acme-staging */enrich`" in alarm.remedy


def test_a_rehearsal_of_an_older_archive_fails_only_if_something_else_does_not_come_back() -> None:
    taken = side({"stream": [WEB], "destination": [DB], "link": [link("l1", "web-1", "db-1", RUNS)]})
    broken, other = (Residue(Key(*key), "", "", "why") for key in (("link", "l1"), ("stream", "web-1")))
    for superseded, residue, lost in (
        (True, (broken,), False),
        (False, (broken,), True),
        (True, (broken, other), True),
    ):
        rehearsal = Rehearsal(2, 3, residue=residue)
        assert check_archive("x", taken, rehearsal, superseded=superseded).lost is lost


def test_verify_lists_a_connection_that_was_dead_in_the_source_without_alarm(tmp_path: Path) -> None:
    name = archive_of(tmp_path, side({"stream": [WEB], "link": [link("l1", "web-1", "gone")]}))
    done = cli("verify", name, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("ok")
    told = "dangling: link 'Web → gone' refers to the destination gone, which was deleted: no data flows through it"
    assert told in done.stdout


def test_a_classic_key_of_a_deleted_stream_is_reported_as_what_it_is(tmp_path: Path) -> None:
    name = archive_of(tmp_path, side({"misc": [{"id": "m", "name": "Keys", "value": "gone=key"}]}))
    done = cli("verify", name, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    told = "misc 'Keys' has a key of the stream gone, which was deleted: events sent with that key are lost"
    assert told in done.stdout


def test_an_alarm_tells_what_harms_and_not_the_dead_connections_beside_it(tmp_path: Path) -> None:
    dead = [link(f"l{n}", "web-1", f"gone-{n}") for n in range(5)]
    lists = {"stream": [WEB], "link": dead, "profile-builder": [builder("pb-1", "pf-1", "gone")]}
    name = archive_of(tmp_path, side(lists))
    for flags in ((), ("--rehearse",)):
        done = cli("verify", name, *flags, cwd=tmp_path)
        assert done.returncode == 3
        (alarm,) = [line for line in done.stderr.splitlines() if line.startswith("jitsu-backup: ")]
        assert "profile-builder" in alarm
        assert "no data flows through it" not in alarm
        assert done.stdout.index("profile-builder") < done.stdout.index("no data flows through it")
        assert "lists all" not in alarm


def test_an_alarm_that_has_no_room_for_all_reasons_says_where_they_are(tmp_path: Path) -> None:
    links = [link(f"l{n}", "web-1", f"db-{n}", RUNS) for n in range(5)]
    databases = [{**DB, "id": f"db-{n}"} for n in range(5)]
    name = archive_of(tmp_path, side({"stream": [WEB], "destination": databases, "link": links}))
    done = cli("verify", name, cwd=tmp_path)
    assert "and 2 more; correct that in the console and back up again" in done.stderr
    assert f"list all 5 with `jitsu-backup verify {name}`" in folded(done.stderr)
