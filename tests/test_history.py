"""`history` on the command line, what it remembers, and what it cannot read."""

import json
import shlex
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

import jitsu_backup
from jitsu_backup import sync
from jitsu_backup.archive import INCOMPLETE, PACKED, archive_name, encode, parse_name
from jitsu_backup.catalogue.derived_ids import derived_id
from jitsu_backup.errors import BackupError
from jitsu_backup.model import MASK, Refusal, Snapshot
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.history import history
from jitsu_backup.operations.history_cache import HistoryCache
from jitsu_backup.planning import ChangeKind
from jitsu_backup.planning.history import History
from jitsu_backup.store import FolderStore, archives
from tests.support import STAGING, cli, make_snapshot, run

BEGIN = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
CODE = "export default async function (event) {\n  return event\n}"
BETTER = CODE.replace("return", "event.country = null\n  return")
IDS = {"stream": "cstream", "destination": "cwarehouse", "function": "cenrich", "link": "clink"}


def workspace(**changed: Any) -> dict[str, list[dict[str, Any]]]:
    """A stream, a warehouse, a function and a connection; `changed` are fields by type, None for none of it."""
    bodies: dict[str, dict[str, Any]] = {
        "stream": {"name": "Web site"},
        "destination": {
            "name": "Warehouse",
            "destinationType": "postgres",
            "host": "pg",
            "password": "CANARY-one",
        },
        "function": {"name": "Enrich", "code": CODE},
        "link": {"type": "push", "fromId": "cstream", "toId": "cwarehouse", "data": {"mode": "batch"}},
    }
    return {
        name: [] if changed.get(name, {}) is None else [{"id": IDS[name], **body, **changed.get(name, {})}]
        for name, body in bodies.items()
    }


class Bench:
    """A store in a folder, filled hour by hour."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hour = folder, 0
        (folder / "store").mkdir()

    def keep(
        self,
        lists: dict[str, list[dict[str, Any]]],
        *marks: str,
        keys: ArchiveKeys | None = None,
        **manifest: Any,
    ) -> str:
        """Keep the workspace as it is an hour later; return the name of the archive."""
        at = BEGIN + timedelta(hours=self.hour)
        self.hour += 1
        return self.put(replace(make_snapshot(lists, **manifest), taken_at=at), *marks, keys=keys)

    def put(self, snapshot: Snapshot, *marks: str, keys: ArchiveKeys | None = None) -> str:
        data = encode(snapshot) if keys is None else keys.seal(encode(snapshot))
        name = str(archive_name(snapshot, marks, size=len(data), encrypted=keys is not None))
        (self.folder / "store" / name).write_bytes(data)
        return name

    def ask(self, *arguments: str, **env: str) -> Any:
        given = {"XDG_CACHE_HOME": str(self.folder / "cache"), "COLUMNS": "80", **env}
        return cli("--store", "store", "history", *arguments, env=given, cwd=self.folder)

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.ask(*arguments, "--json")
        assert done.returncode in (0, 3), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def read(self, *, keys: ArchiveKeys | None = None, cache: bool = True) -> tuple[History, list[str]]:
        """The history, and which archives were read for it."""
        (one,), names = self.read_all(keys=keys, cache=cache)
        return one, names

    def read_all(
        self, *, keys: ArchiveKeys | None = None, cache: bool = True
    ) -> tuple[list[History], list[str]]:
        """The histories, and which archives were read for them."""
        store = Counting(str(self.folder / "store"))

        async def found() -> list[History]:
            known = await archives(store)
            folder = self.folder / "cache" if cache else None
            return await history(
                store, known, keys or ArchiveKeys(), now=BEGIN + timedelta(days=3), cache=folder
            )

        return run(found()), store.read_names


class Counting(FolderStore):
    """A folder that notes what is read."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.read_names: list[str] = []

    async def read(self, name: str) -> bytes:
        self.read_names.append(name)
        return await super().read(name)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def told(found: History) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [
        (one.change.kind.value, one.change.type, one.change.name, one.way_back[1:])
        for step in found.steps
        for one in step.changes
    ]


def test_a_history_tells_step_by_step_what_changed_and_how_to_take_it_back(bench: Bench) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function={"code": BETTER}))
    bench.keep(workspace(function={"code": BETTER, "name": "Enrich it"}, destination={"host": "pg2"}))
    first, second, third = sorted(
        (bench.folder / "store").iterdir(), key=lambda path: path.name.split(".")[2]
    )
    ids = [path.name.split(".")[3] for path in (first, second, third)]
    done = bench.ask()
    assert done.returncode == 0
    assert done.stdout == (
        f"2026-11-20 11:30 → 12:30 UTC  acme-staging/{ids[2]}\n"
        "~ changed  destination      Warehouse\n"
        '    host: "pg" → "pg2"\n'
        f"    jitsu-backup --store store restore acme-staging/{ids[1]} --only destination/Warehouse\n"
        "~ renamed  function         Enrich it (was Enrich)\n"
        f"    jitsu-backup --store store restore acme-staging/{ids[1]} --only function/Enrich\n"
        "\n"
        f"2026-11-20 10:30 → 11:30 UTC  acme-staging/{ids[1]}\n"
        "~ changed  function         Enrich\n"
        "    code: 1 line added, 0 removed\n"
        f"    jitsu-backup --store store restore acme-staging/{ids[0]} --only function/Enrich\n"
        "\n"
        "3 changes in acme-staging: 3 snapshots, 2026-11-20 10:30 to 2026-11-20 12:30 UTC.\n"
    )
    patch = bench.ask("function/*", "-p").stdout
    assert "      +  event.country = null\n" in patch
    assert "Warehouse" not in patch
    assert bench.ask("--exit-code").returncode == 4
    assert bench.ask("--exit-code", "stream").returncode == 0


def test_programs_read_a_line_a_change(bench: Bench) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function={"name": "it's \x1b[31m new"}, destination=None, link=None))
    renamed, *gone = sorted(bench.lines(), key=lambda line: line["change"])
    assert (renamed["change"], renamed["was"], renamed["lineage"]) == (
        "changed",
        "Enrich",
        "function/cenrich",
    )
    assert [line["change"] for line in gone] == ["removed", "removed"]
    assert renamed["before_snapshot"]["taken_at"] == "2026-11-20T10:30:00Z"
    lines = [shlex.split(line["restore"])[5:] for line in gone]
    assert sorted(lines) == [
        ["--only", "destination/Warehouse", "--with-links"],
        ["--only", "link/Web site → Warehouse"],
    ]
    stat_of = json.loads(bench.ask("--json", "--stat").stdout)
    assert stat_of["days"] == [{"day": "2026-11-20", "added": 0, "removed": 2, "changed": 1}]


def test_numbers_are_counted_by_day_and_by_entity(bench: Bench) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function={"code": "1"}))
    bench.hour = 20
    bench.keep(workspace(function={"code": "2"}))
    shown = bench.ask("--stat").stdout
    lines = [line.split() for line in shown.splitlines()]
    assert lines[1:3] == [["2026-11-21", "1"], ["2026-11-20", "1"]]
    assert lines[5] == ["function", "Enrich", "2", "2026-11-21"]


def test_a_comment_has_every_step_with_its_lines(bench: Bench) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function={"code": "<script>@everyone</script>"}))
    assert bench.ask("-p", "--markdown", "x.md").returncode == 0
    page = (bench.folder / "x.md").read_text()
    assert page.startswith("<!-- jitsu-backup: acme-staging -->\n## History: `acme-staging`\n")
    assert "#### 2026-11-20 10:30 → 11:30 UTC, `acme-staging/" in page
    assert "  - `jitsu-backup --store store restore acme-staging/" in page
    assert "+<script>@everyone</script>\n```" in page


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ((), 4), (("acme-staging",), 4), (("function",), 3), (("function/Enrich",), 3), (("function/third",), 3),
        (("acme-staging", "function/cenrich"), 3), (("stream/*",), 1), (("--since", "2026-11-21"), 2),
        (("--until", "2026-11-20T11"), 2), (("--until", "2026-11-20"), 4), (("--since", "2026-11-22"), 0),
        (("--since", "2026-11-20", "--until", "2026-11-20T11"), 2),
    ],
)  # fmt: skip
def test_a_part_is_chosen_by_workspace_entity_and_time(
    bench: Bench, arguments: Sequence[str], changes: int
) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function={"name": "second"}))
    bench.keep(workspace(function={"name": "third"}))
    bench.hour = 20
    bench.keep(workspace(function={"name": "fourth"}, stream={"name": "Shop"}))
    assert len(bench.lines(*arguments)) == changes


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nobody",), 1, "no snapshot of workspace 'nobody'"),
        (("functions/x",), 2, "unknown type 'functions'; did you mean 'function'?"),
        (("function/nope",), 2, "no entity in these snapshots matches 'function/nope'"),
        (("--since", "sometime"), 2, "'sometime' is not a time"),
        (("--since", "7m"), 2, "could be minutes or months"),
        (("--since", "2026-11-21", "--until", "2026-11-20"), 2, "is not before"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    bench: Bench, arguments: Sequence[str], code: int, words: str
) -> None:
    bench.keep(workspace())
    done = bench.ask(*arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


def test_an_empty_store_has_no_history(bench: Bench) -> None:
    done = bench.ask()
    assert done.returncode == 1
    assert "is empty" in done.stderr


def test_there_and_back_are_two_changes_and_equal_snapshots_are_read_once(bench: Bench) -> None:
    for code in (CODE, CODE, BETTER, BETTER, CODE, CODE):
        bench.keep(workspace(function={"code": code}))
    found, names = bench.read(cache=False)
    assert len(told(found)) == 2
    assert len(names) == 3
    (back, there) = found.steps
    assert (there.before.taken_at, there.after.taken_at) == (
        BEGIN + timedelta(hours=1),
        BEGIN + timedelta(hours=2),
    )
    assert back.before.taken_at == BEGIN + timedelta(hours=3)
    assert len(found.archives) == 6


def test_what_does_not_count_is_reported_once(bench: Bench) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function=None), PACKED)
    bench.put(replace(make_snapshot(workspace(stream=None)), taken_at=datetime(2099, 1, 1, tzinfo=UTC)))
    done = bench.ask()
    assert done.stdout.startswith("No changes in acme-staging: 1 snapshot")
    assert done.stderr.count("made by pack") == done.stderr.count("dated in the future") == 1


def reference_of(path: Path) -> str:
    archive = parse_name(path.name)
    assert archive is not None
    return archive.reference


def test_what_cannot_be_read_is_reported_and_left_out(bench: Bench) -> None:
    bench.keep(workspace())
    damaged = bench.folder / "store" / bench.keep(workspace(function={"code": "damaged"}))
    damaged.write_bytes(damaged.read_bytes()[:-5])
    forged = bench.folder / "store" / bench.keep(workspace(function={"code": "forged"}))
    forged.write_bytes(bytes(len(forged.read_bytes())))
    bench.keep(workspace(function={"code": BETTER}))
    done = bench.ask()
    assert done.returncode == 3
    assert done.stdout.count("~ changed") == 1
    assert "2026-11-20 10:30 → 13:30 UTC" in done.stdout
    assert f"not read ({reference_of(damaged)})" in done.stderr
    assert f"not read ({reference_of(forged)}): not an archive" in done.stderr
    assert bench.ask("--since", "2026-11-21").returncode == 0


def test_encrypted_archives_need_their_identity_and_are_never_remembered(bench: Bench) -> None:
    identity = pyrage.x25519.Identity.generate()
    keys = ArchiveKeys((str(identity.to_public()),), (str(identity).encode(),))
    (bench.folder / "identity").write_text(str(identity))
    bench.keep(workspace())
    bench.keep(workspace(function={"code": "// under lock"}), keys=keys)
    bench.keep(workspace(function={"code": "// open"}))
    bench.keep(workspace(function={"code": "// open"}, stream={"name": "open too"}))
    locked = bench.ask()
    assert locked.returncode == 3
    assert "is encrypted" in locked.stderr
    assert locked.stdout.count("~ ") == 2
    opened = bench.ask("-p", "--identity", "identity")
    assert opened.returncode == 0
    assert opened.stdout.count("// under lock") == 2
    bench.read(keys=keys)
    kept = [path.read_text() for path in (bench.folder / "cache").rglob("*.history")]
    assert kept
    assert not any("under lock" in text for text in kept)


def test_the_second_time_reads_only_the_newest(bench: Bench) -> None:
    for number in range(9):
        bench.keep(workspace(function={"code": f"// {number}"}))
    cold, names = bench.read()
    assert len(names) == 9
    warm, names = bench.read()
    assert (warm, len(names)) == (cold, 1)
    bench.keep(workspace(function={"code": "// one more"}, destination={"password": "CANARY-two"}))
    more, names = bench.read()
    assert len(names) == 2
    assert more.steps[1:] == cold.steps
    assert more == bench.read(cache=False)[0]


def test_what_is_remembered_is_its_owners_alone_and_holds_no_secret(bench: Bench) -> None:
    bench.keep(workspace(destination=None, link=None))
    bench.keep(workspace())
    bench.keep(workspace(destination={"password": "CANARY-two", "host": "pg://me:CANARY-three@h"}))
    bench.read()
    (file,) = (bench.folder / "cache").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "CANARY" not in file.read_text()
    assert "CANARY" not in bench.ask("-p", "--json").stdout + bench.ask("-p").stdout


@pytest.mark.parametrize("harm", ["cut", "changed", "foreign", "link", "folder", "older"])
def test_a_cache_that_is_no_good_is_passed_over(bench: Bench, harm: str) -> None:
    for number in range(4):
        bench.keep(workspace(function={"code": f"// {number}"}))
    cold, _ = bench.read()
    (file,) = (bench.folder / "cache").iterdir()
    data = file.read_bytes()
    file.unlink()
    match harm:
        case "cut":
            file.write_bytes(data[:-20])
        case "changed":
            file.write_bytes(data.replace(b"Enrich", b"Forged"))
        case "foreign":
            file.write_bytes(b"\xff\x00")
        case "link":
            (bench.folder / "elsewhere").write_bytes(data)
            file.symlink_to(bench.folder / "elsewhere")
        case "folder":
            file.mkdir()
        case _:
            file.write_bytes(data.replace(b'"format":2', b'"format":0'))
    again, names = bench.read()
    assert again == cold
    assert len(names) == 4


def test_a_cache_that_cannot_be_written_is_no_problem(bench: Bench) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function=None))
    (bench.folder / "cache").write_text("a file")
    done = bench.ask()
    assert (done.returncode, done.stderr.count("cache")) == (0, 0)
    assert bench.ask(XDG_CACHE_HOME="", HOME="/nonexistent").returncode == 0


def test_only_so_many_workspaces_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jitsu_backup.operations.history_cache.MOST_FILES", 3)
    for number in range(5):
        cache = HistoryCache(tmp_path, "store", f"w{number}")
        cache.keep(cache.load())
    assert len(list(tmp_path.iterdir())) == 3


def test_an_entity_is_followed_through_renames_and_restores(bench: Bench) -> None:
    again = derived_id(STAGING, "function", "cenrich")
    bench.keep(workspace())
    bench.keep(workspace(function={"name": "Enrich it"}))
    bench.keep(workspace(function=None))
    bench.keep(workspace(function={"id": again, "name": "Enrich it"}))
    bench.keep(workspace(function={"id": again, "name": "Enrich it all"}))
    found, _ = bench.read()
    changes = [one for step in found.steps for one in step.changes]
    assert [one.change.kind for one in changes] == [
        ChangeKind.CHANGED, ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.CHANGED,
    ]  # fmt: skip
    assert {one.lineage for one in changes} == {"function/cenrich"}
    assert changes[1].way_back[1:] == ("--only", f"function/{again}", "--prune")
    assert len(bench.lines("function/Enrich it all")) == 4


def test_a_new_id_alone_is_no_change(bench: Bench) -> None:
    again = derived_id(STAGING, "stream", "cstream")
    bench.keep(workspace())
    bench.keep(workspace(stream={"id": again}, link={"id": "another", "fromId": again}))
    assert told(bench.read()[0]) == []


def test_what_uses_an_added_entity_goes_with_it(bench: Bench) -> None:
    bench.keep(workspace(destination=None, link=None))
    bench.keep(workspace())
    found, _ = bench.read()
    ways = {name: way for _, name, _, way in told(found)}
    assert ways == {
        "destination": ("--only", "destination/cwarehouse", "--only", "link/clink", "--prune"),
        "link": ("--only", "link/clink", "--prune"),
    }


def test_what_was_added_and_is_gone_again_needs_no_way_back(bench: Bench) -> None:
    bench.keep(workspace(function=None))
    bench.keep(workspace())
    bench.keep(workspace(function=None))
    assert told(bench.read()[0])[1] == ("added", "function", "Enrich", ())
    assert "    (no longer exists)\n" in bench.ask().stdout


@pytest.mark.parametrize(
    ("names", "selector"),
    [
        (["Enrich", "other"], "function/Enrich"), (["a*b", "other"], "function/f0"), (["Enrich", "Enrich"], "function/f0"),
        (["f1", "other"], "function/f0"), (["it's $(id)", "other"], "function/it's $(id)"), ([" padded ", "x"], "function/f0"),
        (["new\nline", "x"], "function/f0"), (["x" * 99, "x"], "function/f0"), (["a -> b", "a → b"], "function/f0"),
    ],
)  # fmt: skip
def test_an_entity_is_named_so_that_no_other_is_meant(bench: Bench, names: list[str], selector: str) -> None:
    functions = [{"id": f"f{at}", "name": name, "code": "1"} for at, name in enumerate(names)]
    bench.keep({"function": functions})
    bench.keep({"function": [{**functions[0], "code": "2"}, functions[1]]})
    assert told(bench.read()[0])[0][3] == ("--only", selector)


def test_a_value_that_is_masked_in_between_is_compared_with_the_last_that_was_seen(bench: Bench) -> None:
    first = bench.keep(workspace(destination={"password": "CANARY-one"}))
    bench.keep(workspace(destination={"password": MASK}))
    bench.keep(workspace(destination={"password": "CANARY-one"}))
    bench.keep(workspace(destination={"password": MASK, "host": "pg2"}))
    bench.keep(workspace(destination={"password": "CANARY-two", "host": "pg3"}))
    found, _ = bench.read()
    (host, secret), (earlier,) = (
        sorted(s.changes, key=lambda c: c.change.fields[0].path) for s in _by_after(found)
    )
    assert [f.path for f in secret.change.fields] == ["password"]
    assert secret.change.fields[0].secret
    assert [f.path for f in host.change.fields] == [f.path for f in earlier.change.fields] == ["host"]
    assert secret.way_back[1:] == ("--only", "destination/cwarehouse")
    assert secret.way_back[0] == f"acme-staging/{first.split('.')[3]}"


def _by_after(found: History) -> list[Any]:
    """The steps of a history, those that end at the same archive as one."""
    merged: dict[str, Any] = {}
    for step in found.steps:
        known = merged.get(str(step.after))
        merged[str(step.after)] = (
            step if known is None else replace(known, changes=(*known.changes, *step.changes))
        )
    return list(merged.values())


def test_a_type_that_was_refused_in_between_loses_and_invents_nothing(bench: Bench) -> None:
    bench.keep(workspace())
    blind = {name: bodies for name, bodies in workspace().items() if name != "function"}
    bench.keep(blind, refused=(Refusal("function", "403"),))
    assert (
        INCOMPLETE
        in next(name for name in bench.folder.joinpath("store").iterdir() if "incomplete" in name.name).name
    )
    bench.keep(blind, not_offered=("function",))
    bench.keep(workspace(function={"code": BETTER}))
    found, _ = bench.read()
    (step,) = found.steps
    assert (step.before.taken_at, step.after.taken_at) == (BEGIN, BEGIN + timedelta(hours=3))


def test_the_api_has_the_same_history(bench: Bench) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function={"code": BETTER}, stream={"name": "Shop"}))
    store = str(bench.folder / "store")
    (found,) = sync.history(store, "acme-staging", only=["function/*"])
    assert [kind for kind, *_ in told(found)] == ["changed"]
    assert sync.history(store, since=datetime(2026, 11, 21, tzinfo=UTC))[0].steps == ()
    assert callable(jitsu_backup.history)
    with pytest.raises(BackupError, match="no snapshot of workspace 'nobody'"):
        sync.history(store, "nobody")
