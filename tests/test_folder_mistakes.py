"""What is wrong with a folder of `unpack`, or hidden in it, on the command line: in one line, with the file."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.test_bad_input import refused
from tests.unattended.workbench import Bench
from tests.unpacked import add, edit, enriched, file, planned, unpacked


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with unpacked(tmp_path) as made:
        yield made


def spoil(pattern: str, text: str) -> Callable[[Bench], object]:
    return lambda bench: file(bench, pattern).write_text(text)


def remove(pattern: str) -> Callable[[Bench], object]:
    return lambda bench: file(bench, pattern).unlink()


def drop_function(bench: Bench) -> None:
    for path in (bench.folder / "tree/function").glob("only-known-users-*"):
        path.unlink()


FUNCTION_OF_BUILDER = "function/profile-builder-function-??????.js"
BUILDER = "profile-builder/profiles-??????.js"
MERGE = "<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> theirs\n"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (remove("manifest.json"), 5, ("tree: manifest.json is missing",)),
        (remove("run.json"), 5, ("tree: run.json is missing",)),
        (spoil("function/enrich-*.js", MERGE), 5, ("function/enrich-", ".js", "it contains conflict markers")),
        (spoil("function/enrich-*.json", MERGE), 5, ("function/enrich-", "it contains conflict markers")),
        (spoil("run.json", MERGE), 5, ("tree: run.json", "it contains conflict markers")),
        (add("stream/b.json", '{"id": "web-0001"}'), 5, ("same id", "stream/b.json", "stream/web-site-")),
        (add("gadget/a.json", '{"id": "a"}'), 5, ("gadget/a.json", "an unknown type")),
        (lambda bench: edit(bench, "function/enrich-*.json", id="other"), 5,
         ("function/enrich-", "'other'", "unpacked with 'enrich-0001'")),
        (lambda bench: edit(bench, "link/web-site--clickhouse-*.json", toId="gone"), 5,
         ("link/web-site--clickhouse-", "'gone'", "toId", "no file has that id")),
        (remove("destination/clickhouse-*.json"), 5, ("link/web-site--clickhouse-", "clicks-0001")),
        (add("link/b.json", '{"id": "b", "type": "push", "toId": "clicks-0001"}'), 5, ("link/b.json has no fromId",)),
        (add("link/b.json", '{"id": "b", "type": "push", "fromId": 5, "toId": "clicks-0001"}'), 5, ("link/b.json has no fromId",)),
        (add("link/b.json", '{"id": "b", "type": "push", "fromId": "clicks-0001", "toId": "web-0001"}'), 5,
         ("link/b.json refers to 'web-0001' at toId", "not of a type allowed there")),
        (add("notification/b.json", '{"id": "b", "name": "B", "slackWebhookUrl": "***"}'), 5,
         ("notification/b.json has *** at slackWebhookUrl", "without --redact")),
        (add("function/b.json", '{"id": "b", "name": "B", "code": "fetch(\'https://me:***@h\')"}'), 5,
         ("function/b.json has *** at code",)),
        (spoil(FUNCTION_OF_BUILDER, "// edited"), 5,
         ("function/profile-builder-function-", "was edited (code)", "profile-builder/profiles-", "make the same change there")),
        (lambda bench: os.mkfifo(bench.folder / "tree" / "stream" / "pipe.json"), 5, ("stream/pipe.json is not a regular",)),
        (lambda bench: (bench.folder / "tree" / "stream" / "a.json").symlink_to("b"), 5, ("a.json is a symbolic link",)),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_the_file_and_nothing_is_sent(
    bench: Bench, change: Callable[[Bench], object], code: int, words: tuple[str, ...]
) -> None:
    change(bench)
    before = enriched(bench)
    done = bench.run("restore", "tree", "--yes")
    refused(done, code, *words)
    assert "CANARY" not in done.stderr
    assert enriched(bench) == before


@pytest.mark.parametrize("flags", [(), ("--redact",)], ids=["plain", "redacted"])
def test_the_function_of_a_profile_builder_is_edited_in_the_files_of_its_builder(
    bench: Bench, flags: tuple[str, ...]
) -> None:
    (function,) = (one for one in bench.state.objects.values() if one.config.get("kind") == "profile")
    function.config["code"] = "// https://me:password@host"
    assert bench.run("backup", "acme-staging", "--unpack", "folder", *flags).returncode == 0
    own, builders = (file(bench, pattern, "folder") for pattern in (FUNCTION_OF_BUILDER, BUILDER))

    def updates() -> int:
        count: int = planned(bench.run("restore", "folder", "--dry-run", "--json"))["counts"]["update"]
        return count

    assert updates() == 0
    as_it_was = builders.read_text()
    builders.write_text("// edited")
    assert updates() == 1
    own.write_text("// edited")
    assert updates() == 1
    builders.write_text(as_it_was)
    refused(bench.run("restore", "folder", "--dry-run"), 5, "was edited (code)", "make the same change there")


def test_stars_that_the_console_holds_itself_are_a_value(bench: Bench) -> None:
    bench.state.objects["ops-0001"].config["slackWebhookUrl"] = "***"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    edit(bench, "notification/ops-*.json", name="Other")
    assert planned(bench.run("restore", "tree", "--dry-run", "--json"))["counts"]["update"] == 1


def test_a_hidden_password_in_code_shows_as_stars_and_as_a_secret_where_it_alone_differs(
    bench: Bench,
) -> None:
    function = bench.state.objects["enrich-0001"]
    function.config["code"] = "// https://me:CANARY@host\n"
    assert bench.run("backup", "acme-staging", "--unpack", "folder", "--redact").returncode == 0
    path = file(bench, "function/enrich-*.js", "folder")
    path.write_text(path.read_text().replace("host", "other") + "// https://me:***@third\n")
    shown = bench.run("diff", "live:acme-staging", "folder")
    assert "-// https://***@host" in shown.stdout
    assert "+// https://***@other" in shown.stdout
    assert "MASKED" not in shown.stdout
    function.config["code"] = "// https://me:another@host\n"
    shown = bench.run("diff", "latest")
    assert "code: secret changed" in shown.stdout, shown.stdout
    assert "line ends" not in shown.stdout


def test_stars_of_a_redacted_folder_block_wherever_the_target_has_no_value(bench: Bench) -> None:
    assert bench.run("unpack", "latest", "folder", "--redact").returncode == 0
    for name, code in (("a", "fetch('https://***@h')"), ("b", "fetch('https://me:***@h')")):
        body = {"id": f"new-{name}", "name": name, "code": code}
        (bench.folder / f"folder/function/{name}.json").write_text(json.dumps(body))
    done = bench.run("restore", "folder", "--dry-run", "--json")
    actions = {one["name"]: one for one in json.loads(done.stdout)["plan"]["actions"]}
    assert [actions[name]["action"] for name in "ab"] == ["blocked", "blocked"], actions


@pytest.mark.parametrize(
    ("flags", "change", "words"),
    [
        ((), spoil("function/enrich-*.json", "{"), ("is not JSON", "line 1 column", "correct the folder")),
        ((), lambda bench: file(bench, "function/enrich-*.json").write_bytes(b"\xff"), ("is not UTF-8", "correct the folder")),
        ((), drop_function, ("dangling", "correct that in the folder")),
        (("--rehearse",), lambda bench: bench.run("unpack", "latest", "tree", "--redact"),
         ("tree is redacted", "rehearse the archive")),
    ],
    ids=["JSON", "UTF-8", "dangling", "redacted"],
)  # fmt: skip
def test_a_folder_that_is_not_whole_is_to_be_mended_in_the_folder(
    bench: Bench, flags: tuple[str, ...], change: Callable[[Bench], object], words: tuple[str, ...]
) -> None:
    change(bench)
    done = bench.run("verify", "tree", *flags)
    assert done.returncode != 0
    assert all(word in done.stderr for word in words), done.stderr
    assert "console" not in done.stderr
    assert "snapshots" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("restore", "tree", "--plan-out", "tree/plan.json"),
        ("restore", "tree", "--dry-run", "--markdown", "tree/plan.md"),
        ("restore", "tree", "--yes", "--keys-out", "tree/function/keys.json"),
        ("restore", "tree", "--dry-run", "--overlay-out", "tree/overlay.toml"),
        ("diff", "tree", "--html", "tree/page.html"),
        ("pack", "tree", "--output", "tree/archive.json.gz"),
    ],
    ids=lambda words: words[-2].strip("-"),
)
def test_nothing_is_written_into_a_folder_that_could_not_be_read_with_it(
    bench: Bench, words: tuple[str, ...]
) -> None:
    refused(bench.run(*words), 2, f"{words[-2]} {words[-1]}: this is inside the folder tree")
    hidden = words[-1].replace("tree/", "tree/.").replace(".function/", "function/.")
    assert bench.run(*words[:-1], hidden).returncode == 0
    assert bench.run("verify", "tree").returncode == 0


def test_what_is_no_folder_of_unpack_is_refused_by_its_name(bench: Bench) -> None:
    (bench.folder / "mine").mkdir()
    (bench.folder / "mine" / "thesis.txt").write_text("mine")
    refused(bench.run("restore", "./mine", "--yes"), 5, "manifest.json is missing", "mine")
    refused(
        bench.run("diff", "mine"),
        2,
        "'mine' is not a snapshot",
        "the folder mine was not written by `unpack`",
    )
    for path in (".", "..", "mine/"):
        refused(bench.run("restore", path), 5, "manifest.json is missing; give a folder that `unpack` wrote")
    refused(bench.run("unpack", "tree", "copy"), 2, "tree is already a folder; unpack takes an archive")
    (bench.folder / "half").mkdir()
    for name in ("run.json", "options.json"):
        shutil.copy(bench.folder / "tree" / name, bench.folder / "half")
    refused(bench.run("verify", "half"), 5, "half: manifest.json is missing")


def test_a_dangling_reference_of_the_console_itself_is_no_mistake_of_the_folder(bench: Bench) -> None:
    bench.state.objects["hook-0001"].deleted = True
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert bench.run("restore", "tree", "--dry-run").returncode == 0
