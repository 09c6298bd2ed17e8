"""`history` of stores that are not plain: archives under lock, of two consoles, damaged since they were read."""

import json
import re
import shlex
from pathlib import Path

import pyrage
import pytest

from jitsu_backup import sync
from jitsu_backup.archive import parse_name
from jitsu_backup.operations.archive_keys import ArchiveKeys
from tests.support import STAGING, cli
from tests.test_history import BETTER, CODE, Bench, workspace


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def identity(bench: Bench, name: str = "my identity") -> ArchiveKeys:
    """Keys to archives, whose identity is in a file of the bench."""
    made = pyrage.x25519.Identity.generate()
    (bench.folder / name).write_text(str(made))
    return ArchiveKeys((str(made.to_public()),), (str(made).encode(),))


def commands(text: str) -> list[list[str]]:
    """The arguments of the commands in a text, without the program's name."""
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("    jitsu-backup ")]


def test_the_line_of_a_change_since_an_encrypted_archive_opens_it(bench: Bench) -> None:
    keys = identity(bench)
    bench.keep(workspace(), keys=keys)
    bench.keep(workspace(function={"code": BETTER}))
    bench.keep(workspace(function={"code": "// open"}))
    given = ("--identity", "my identity", "--identity", "none")
    (bench.folder / "none").write_text(str(pyrage.x25519.Identity.generate()))
    done = bench.ask(*given, "--html", "x.html", "--markdown", "x.md")
    opened, locked = commands(done.stdout)
    assert "--identity" not in opened
    assert tuple(locked[-4:]) == given
    assert cli("show", "--store", "store", locked[3], *given, cwd=bench.folder).returncode == 0
    line = shlex.join(["jitsu-backup", *locked])
    assert [one["restore"] for one in bench.lines(*given)][1] == line
    assert f"`{line}`" in (bench.folder / "x.md").read_text()
    assert (bench.folder / "x.html").read_text().count("--identity &#39;my identity&#39;") >= 1
    assert "--identity" not in bench.ask(JITSU_BACKUP_IDENTITY="my identity").stdout


def two_consoles(bench: Bench) -> None:
    """Two consoles with a copy of the same workspace each take turns; one function differs, and each changes another one."""
    for code, name in (("1", "Site"), ("1", "Shop"), ("2", "Shop")):
        bench.keep(workspace(function={"code": f"// first {code}"}), host="https://first.example.com")
        bench.keep(workspace(stream={"name": name}), host="https://second.example.com")


def test_consoles_with_a_workspace_of_the_same_id_have_a_history_each(bench: Bench) -> None:
    two_consoles(bench)
    for _ in range(2):  # then from the cache
        lines = bench.lines()
        assert [(line["console"], line["type"], line["name"]) for line in lines] == [
            ("https://first.example.com", "function", "Enrich"),
            ("https://second.example.com", "stream", "Shop"),
        ]
        for line in lines:
            before = shlex.split(line["restore"])[4].rpartition("/")[2]
            assert before == line["before_snapshot"]["id"]
            shown = json.loads(cli("show", "--json", "--store", "store", before, cwd=bench.folder).stdout)
            assert shown["source"]["host"] == line["console"]
    done = bench.ask("--html", "x.html", "--markdown", "x.md")
    heads = [line for line in done.stdout.splitlines() if "→" in line and " UTC  acme" in line]
    assert [line.rpartition(" on ")[2] for line in heads] == [
        "https://first.example.com",
        "https://second.example.com",
    ]
    assert "1 change in acme-staging on https://second.example.com: 3 snapshots," in done.stdout
    assert (bench.folder / "x.md").read_text().count("` on `https://first.example.com`\n") == 1
    page = (bench.folder / "x.html").read_text()
    assert page.count("acme-staging on https://first.example.com") >= 1
    bench.keep(workspace(stream={"name": "Mall"}), host="https://second.example.com")
    assert len(bench.lines()) == 3


def test_of_one_console_none_is_named(bench: Bench) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function={"code": BETTER}))
    (line,) = bench.lines()
    assert "console" not in line
    assert "jitsu.example.com" not in bench.ask().stdout


def test_what_of_two_consoles_has_not_changed_is_read_once(bench: Bench) -> None:
    for _ in range(3):
        for host in ("https://first.example.com", "https://second.example.com"):
            bench.keep(workspace(), host=host)
    assert len(bench.read_all()[1]) == 2


@pytest.mark.parametrize("harm", ["cut", "turned"])
@pytest.mark.parametrize("sized", [True, False])
def test_what_became_damaged_since_it_was_read_is_reported(bench: Bench, harm: str, sized: bool) -> None:
    names = [bench.keep(workspace(function={"code": f"// {number}"})) for number in range(5)]
    if not sized:  # as names were before 0.8.0
        for name in names:
            plain = re.sub(r"\.z\d+-\w{16}", "", name)
            (bench.folder / "store" / name).rename(bench.folder / "store" / plain)
    assert bench.ask().returncode == 0
    path = sorted((bench.folder / "store").iterdir(), key=lambda one: one.name.split(".")[2])[2]
    data = path.read_bytes()
    path.write_bytes(data[:-20] if harm == "cut" else data[:100] + bytes([data[100] ^ 255]) + data[101:])
    cold = bench.ask(XDG_CACHE_HOME=str(bench.folder / "none"))
    assert cold.returncode == 3
    for _ in range(2):
        warm = bench.ask()
        assert (warm.returncode, warm.stdout, warm.stderr) == (3, cold.stdout, cold.stderr)
    path.write_bytes(data)
    assert bench.ask().stdout.count("~ ") == 4


def test_one_that_cannot_be_read_is_reported_the_second_time_too_where_another_holds_the_same(
    bench: Bench,
) -> None:
    first = bench.keep(workspace())
    bench.keep(workspace())
    bench.keep(workspace(function={"code": BETTER}))
    path, named = bench.folder / "store" / first, parse_name(first)
    assert named is not None
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes([data[100] ^ 255]) + data[101:])
    for _ in range(3):
        done = bench.ask()
        assert (done.returncode, done.stderr.count(named.reference)) == (3, 1)
        assert done.stdout.count("~ ") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "an identity cannot be used: "), ("no key", "the identity file has no identity")],
)
def test_an_identity_that_cannot_be_used_is_wrong_usage(
    bench: Bench, content: str | None, words: str
) -> None:
    bench.keep(workspace(), keys=identity(bench))
    bench.keep(workspace(function={"code": BETTER}))
    if content is not None:
        (bench.folder / "other").write_text(content)
    for env in ({}, {"JITSU_BACKUP_IDENTITY": "other"}):
        done = bench.ask(*(() if env else ("--identity", "other")), **env)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert words in done.stderr
    two = bench.ask("--identity", "my identity", "--identity", "my identity")
    assert two.returncode == 0


def test_numbers_of_several_workspaces_name_each(bench: Bench) -> None:
    for code in ("1", "2", "3"):
        bench.keep(workspace(function={"code": code}))
    bench.hour = 0
    for name in ("one", "two"):
        bench.keep(workspace(function={"name": name}), workspace_id="cother", slug="other")
    shown = bench.ask("--stat").stdout
    lines = [line.split() for line in shown.splitlines()]
    assert lines[4:6] == [
        ["acme-staging", "function", "Enrich", "2", "2026-11-20"],
        ["other", "function", "two", "1", "2026-11-20"],
    ]
    named = json.loads(bench.ask("--stat", "--json").stdout)["entities"]
    assert [one["workspace_id"] for one in named] == [STAGING, "cother"]


def test_fields_that_the_settings_ignore_do_not_count(bench: Bench) -> None:
    there = {"name": "Warehouse", "credentials": {"host": "pg", "port": 1}, "hosts": [{"name": "a"}]}
    bench.keep(workspace(destination=there))
    bench.keep(workspace(destination={**there, "name": "Lake", "credentials": {"host": "pg", "port": 2}}))
    bench.keep(workspace(destination={**there, "name": "Lake", "hosts": [{"name": "b"}], "host": "pg2"}))
    bench.keep(workspace(destination={**there, "name": "Lake", "hosts": []}))
    settings = bench.folder / "jitsu-backup.toml"
    plain = [len(line["fields"]) for line in bench.lines()]
    assert plain == [2, 3, 2]
    ignore = '["destination/Lake:name", "destination/*:credentials.port", "destination/*:hosts.name"]'
    settings.write_text(f'[profiles.other]\nworkspace = "other"\nignore = {ignore}\n')
    assert [len(line["fields"]) for line in bench.lines()] == plain
    settings.write_text(
        f'[profiles.acme]\nhost = "https://jitsu.example.com"\nworkspace = "acme-staging"\nignore = {ignore}\n'
    )
    told = [[field["path"] for field in line["fields"]] for line in bench.lines()]
    assert told == [["host"], ["host"]]
    done = bench.ask("--exit-code", "--html", "x.html", "--until", "2026-11-20T11:00")
    assert (done.returncode, done.stdout.count("~ ")) == (0, 0)
    assert done.stderr.count("the setting ignore") == 1
    settings.write_text('ignore = ["destinations/*:name"]\n')
    assert bench.ask().returncode == 2
    api = sync.history(str(bench.folder / "store"), ignored=["destination:host", "destination:hosts"])
    assert [len(step.changes[0].change.fields) for step in api[0].steps] == [1, 2]


def test_entities_of_one_name_are_told_apart_by_their_ids(bench: Bench) -> None:
    for code in ("1", "2"):
        functions = [{"id": f"f{number}", "name": "Same", "code": code} for number in range(2)]
        bench.keep({"function": [*functions, {"id": "f2", "name": "Other", "code": code}]})
    told = bench.ask().stdout
    assert [line.split()[3:] for line in told.splitlines() if line.startswith("~ ")] == [
        ["Other"], ["Same", "(f0)"], ["Same", "(f1)"],
    ]  # fmt: skip
    assert {"Same (f0)", "Same (f1)"} <= {line[10:19] for line in bench.ask("--stat").stdout.splitlines()}
    stat = json.loads(bench.ask("--stat", "--json").stdout)
    assert {one["id"] for one in stat["entities"]} == {"f0", "f1", "f2"}


def test_a_selector_that_finds_nothing_at_all_is_reported(bench: Bench) -> None:
    bench.keep(workspace())
    bench.keep(workspace(function={"code": BETTER}))
    nothing = bench.ask("function/x*")
    assert (nothing.returncode, nothing.stderr.count("no entity in these snapshots matches")) == (0, 1)
    assert "`show latest '*'`" in nothing.stderr
    assert bench.ask("stream/*").stderr == ""


def test_many_of_one_type_that_were_added_together_are_one_line_and_each_removed_one_has_its_way_back(
    bench: Bench,
) -> None:
    many = [{"id": f"f{n}", "name": f"Step {n}", "code": CODE} for n in range(1, 7)]
    bench.keep(workspace())
    bench.keep({**workspace(), "function": [*workspace()["function"], *many], "stream": []})
    lines = bench.ask().stdout.splitlines()
    assert lines[1] == "+ added    function         6: Step 1, Step 2, Step 3 and 3 more (-v lists each)"
    assert [line.split()[1:3] for line in lines if line.startswith("- ")] == [["removed", "stream"]]
    for flag in ("-v", "--patch"):
        assert bench.ask(flag).stdout.count("+ added    function") == 6
    assert len(bench.lines()) == 7
    bench.keep(workspace())
    assert bench.ask().stdout.count("- removed  function") == 6
