"""`show --code`, `--draft` and `--field`: one part of one entity, as it is, for other programs."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import encode, encrypt
from jitsu_backup.model import paths_inside, value_at
from tests.support import cli, make_snapshot

CODE = "export default async function(event) {\r\n\treturn event; // é \U0001f600\n}"
DRAFT = "// not yet\n"
ADDRESS = "fetch('https://user:hunter22@api.example.com/')"
BUILDER = {
    "id": "pb1",
    "name": "People",
    "functions": [{"function": {"id": "f9", "config": {"code": CODE, "draft": DRAFT}}}],
}
LISTS: dict[str, list[dict[str, Any]]] = {
    "function": [
        {"id": "f1", "name": "Enrich", "code": CODE, "draft": DRAFT, "a.b": 1, "a": {"b": 2}},
        {"id": "f2", "name": "Other", "code": "", "env": {"x.y": [{"z": None}], "token": "s3cret"}},
        {"id": "f3", "name": "Other", "code": ADDRESS},
        {"id": "f4", "name": "New"},
        {"id": "f5", "name": "Hostile", "code": "a\x1b[2Jb\tc"},
    ],
    "profile-builder": [BUILDER],
    "stream": [{"id": "s1", "name": "Web"}],
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.json.gz"
    path.write_bytes(encode(make_snapshot(LISTS)))
    return path


def show(archive: Path, *words: str) -> Any:
    return cli("show", f"./{archive.name}", *words, cwd=archive.parent)


def written(archive: Path, *words: str) -> bytes:
    """What another program reads, byte by byte."""
    command = [sys.executable, "-m", "jitsu_backup", "show", str(archive), *words]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("function/Enrich", "--code"), CODE),
        (("function/Enrich", "--draft"), DRAFT),
        (("function/f2", "--code"), ""),
        (("profile-builder/People", "--code"), CODE),
        (("profile-builder/*", "--draft"), DRAFT),
        (("function/f3", "--code", "--secrets"), ADDRESS),
        (("function/f5", "--code"), "a\x1b[2Jb\tc"),
    ],
)
def test_the_text_is_written_byte_by_byte(archive: Path, words: tuple[str, ...], text: str) -> None:
    assert written(archive, *words) == text.encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("code", CODE),
        ("env.x.y", [{"z": None}]),
        ("env.x.y.0.z", None),
        ("env.token", "***"),
        ("env", {"x.y": [{"z": None}], "token": "***"}),
    ],
)
def test_any_field_is_written_as_json_with_secrets_hidden(archive: Path, path: str, value: Any) -> None:
    entity = "function/Enrich" if path == "code" else "function/f2"
    assert json.loads(show(archive, entity, "--field", path).stdout) == value
    builder = show(archive, "profile-builder/pb1", "--field", "functions.0.function.id")
    assert builder.stdout == '"f9"\n'


def test_a_secret_is_written_in_clear_only_when_asked_for(archive: Path) -> None:
    assert show(archive, "function/f2", "--field", "env.token", "--secrets").stdout == '"s3cret"\n'
    hidden = show(archive, "function/f3", "--code")
    assert hidden.stdout == "fetch('https://***@api.example.com/')"
    assert hidden.stderr == "possible passwords in it are shown as ***; --secrets shows them\n"
    assert show(archive, "function/Enrich", "--code").stderr == ""


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("function/Other", "--code"), 2, "matches 2 entities, but --code takes one; name one of them by its id: function/f2 (Other), function/f3"),
        (("*", "--field", "id"), 2, "matches 7 entities, but --field takes one"),
        (("function/Nobody", "--code"), 1, "no entity in the snapshot matches 'function/Nobody'"),
        (("functio/Enrich", "--code"), 2, "unknown type 'functio'; did you mean 'function'?"),
        (("function/New", "--code"), 1, "function 'New' has no code"),
        (("function/f3", "--draft"), 1, "function 'Other' has no draft"),
        (("stream/Web", "--code"), 1, "stream 'Web' has no code in the snapshot; choose another field with --field PATH"),
        (("function/Enrich", "--field", "cod"), 1, "function 'Enrich' has no field 'cod'; did you mean 'code'?"),
        (("function/f2", "--field", "env.x.y.1"), 1, "has no field 'env.x.y.1'"),
        (("function/Enrich", "--field", "a.b"), 2, "could be 2 fields of function 'Enrich'"),
        (("function/Enrich", "--field", ""), 1, "has no field ''"),
        (("--code",), 2, "--code needs an entity: name one"),
        (("function/Enrich", "--code", "--draft"), 2, "give only one of them"),
        (("function/Enrich", "--code", "--json"), 2, "use --field to write any field as JSON"),
        (("function/Enrich", "--field", "id", "--html", "a.html"), 2, "leave out one of them"),
    ],
)  # fmt: skip
def test_what_is_not_one_part_of_one_entity_is_refused_in_one_line(
    archive: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    done = show(archive, *words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    message, *command = done.stderr.splitlines()
    assert told in message
    assert len(command) <= 1
    assert all(line.startswith("  jitsu-backup ") for line in command)


def test_a_folder_and_a_redacted_one_give_what_they_hold(archive: Path) -> None:
    folder = archive.parent
    for name, flags in (("plain", ()), ("redacted", ("--redact",))):
        assert cli("unpack", archive.name, name, *flags, cwd=folder).returncode == 0
        assert written(folder / name, "function/Enrich", "--code") == CODE.encode()
    hidden = cli("show", "./redacted", "function/f3", "--code", cwd=folder)
    assert (hidden.stdout, hidden.stderr) == ("fetch('https://***@api.example.com/')", "")


def test_an_encrypted_archive_gives_its_code_to_whoever_has_the_key(archive: Path) -> None:
    keys = {"JITSU_BACKUP_PASSPHRASE": "open sesame"}
    archive.write_bytes(encrypt(archive.read_bytes(), passphrase="open sesame"))
    done = cli(
        "show", f"./{archive.name}", "function/f3", "--code", "--secrets", cwd=archive.parent, env=keys
    )
    assert done.stdout == ADDRESS, done.stderr
    assert show(archive, "function/f3", "--code").returncode in (2, 6)


def test_on_a_terminal_code_commands_nothing_and_ends_its_last_line(archive: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "jitsu_backup", "show", str(archive), "function/Hostile", "--code"]
    assert subprocess.run(command, stdout=theirs, check=False, timeout=60).returncode == 0
    assert os.read(ours, 1000).decode() == "a\N{REPLACEMENT CHARACTER}[2Jb  c\r\n"
    os.close(ours)
    os.close(theirs)


def test_everything_inside_a_value_has_one_path() -> None:
    value = {"a": [1, {"b": 2}], "c.d": {}}
    found = list(paths_inside(value))
    assert found == [("a",), ("a", 0), ("a", 1), ("a", 1, "b"), ("c.d",)]
    assert [value_at(value, path) for path in found] == [[1, {"b": 2}], 1, {"b": 2}, 2, {}]
