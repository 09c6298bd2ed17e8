"""Whatever strangers wrote, in archives, overlays, settings, folders and answers: only our own errors come out."""

import gzip
import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from jitsu_backup.archive import MAX_DOCUMENT_BYTES, decode, decrypt, encode, from_tree, strict, to_tree
from jitsu_backup.console import Gates
from jitsu_backup.console.replies import LONGEST_WAIT, RetryAfter, classify
from jitsu_backup.errors import BackupError, IntegrityError, UsageError
from jitsu_backup.planning import parse_overlay
from jitsu_backup.settings import Overrides, load, read_document
from jitsu_backup.settings.overlay_file import open_overlay
from jitsu_backup.store import read_file, read_text_file, read_tree, write_tree
from jitsu_backup.store.files import MAX_TEXT_BYTES, TEMPORARY, remove_leftovers
from tests import examples, fuzz
from tests.support import FakeTime, cli, recorded_snapshot, run

MEMORY, ADDRESSES = 3 * 1024**3, 5 * 1024**3
"""What `docs/archive-format.md` says that reading a file may take, in bytes: of memory, and asked for at most."""


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    monkeypatch.setattr(fuzz, "FOLDER", folder)
    monkeypatch.chdir(folder)
    yield
    assert "evaluated" not in {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("target", sorted(fuzz.TARGETS))
def test_spoilt_input_never_crashes_a_reader(target: str) -> None:
    valid = fuzz.seeds(target)
    for data in valid:
        fuzz.TARGETS[target](data)

    @settings(max_examples=examples(150), deadline=None)
    @given(st.sampled_from(valid), st.randoms(use_true_random=False))
    def spoilt(data: bytes, dice: random.Random) -> None:
        fuzz.TARGETS[target](fuzz.spoil(data, dice))

    spoilt()


@pytest.mark.parametrize("target", sorted(fuzz.TARGETS))
def test_bytes_of_any_kind_never_crash_a_reader(target: str) -> None:
    @settings(max_examples=examples(50), deadline=None)
    @given(st.binary(max_size=300))
    def any_bytes(data: bytes) -> None:
        fuzz.TARGETS[target](data)

    any_bytes()


# -- what fuzzing found ------------------------------------------------------------


@pytest.mark.parametrize(
    "patch",
    [
        {"a": float("nan")}, {"a": float("inf")}, {"a": 2**64}, {"a": "\ud800"}, {"\ud800": 1}, {"a": {1: 2}}, {"a": object()},
        {"a." * 3000 + "a": 1},
    ],
    ids=["nan", "inf", "big", "surrogate", "surrogate-key", "number-key", "object", "dotted"],
)  # fmt: skip
def test_an_overlay_that_json_cannot_hold_is_refused(patch: dict[object, object]) -> None:
    with pytest.raises(UsageError, match="overlay"):
        parse_overlay({"destination/*": patch})


def test_an_overlays_dates_are_text_as_json_writes_them(tmp_path: Path) -> None:
    import tomllib

    document = tomllib.loads('["stream/*"]\nday = 2026-01-02\nat = 2026-01-02T03:04:05Z\ntime = 03:04:05\n')
    patch = parse_overlay(document).rules[0].patch
    assert patch == {"day": "2026-01-02", "at": "2026-01-02T03:04:05+00:00", "time": "03:04:05"}


@pytest.mark.parametrize("text", ["a." * 5000 + "a = 1", "[" + "a." * 5000 + "a]"])
def test_an_overlay_nested_without_an_end_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "o.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="nested too deeply"):
        open_overlay(path, os.environ).parse()


def test_digits_of_another_script_are_no_position_of_a_list() -> None:
    entity = next(e for e in recorded_snapshot().entities if e.key.type == "stream")
    parse_overlay({"stream/*": {"domains": {"²": "x"}}}).apply(entity, "x")


@pytest.mark.parametrize(
    "text", ["shrink_alarm = 0x" + "f" * 6000, "shrink_alarm = " + "1" * 6000, "a." * 5000 + "a = 1"]
)
def test_settings_that_python_cannot_show_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"s\.toml"):
        load(path, {}, None, tmp_path, Overrides())


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":"x","error":{"issues":5}}',
        b'{"message":"x","error":{"issues":[{"path":[%s]}]}}' % (b"[" * 900 + b"]" * 900),
        b'{"message":"x","error":{"issues":[{"code":%s}]}}' % (b"[" * 900 + b"]" * 900),
        b'{"message":%s}' % (b"[" * 1000 + b"]" * 1000),
    ],
)
def test_a_refusal_of_any_shape_is_classified(body: bytes) -> None:
    for status in (429, 400, 500, 503):
        classify("PUT", status, {}, body)


@pytest.mark.parametrize("value", ["9" * 400, "99999999999"])
def test_no_answer_makes_us_wait_longer_than_a_day(value: str) -> None:
    verdict = classify("GET", 429, {"retry-after": value}, b"")
    assert verdict == RetryAfter("rate limit", LONGEST_WAIT, limited=True)
    for header in (value, "²", "-1", "1_0"):
        time = FakeTime()
        gate = Gates(clock=time.clock, sleep=time.sleep).of("h", "k", "GET")
        gate.leave(
            1, 429, {"retry-after": header, "x-ratelimit-limit": header, "x-ratelimit-remaining": header}
        )
        run(gate.enter())
        assert time.now <= 1_795_460_400.0 + LONGEST_WAIT + 200


@pytest.mark.parametrize("limit", ["0", "1"])
def test_a_budget_of_one_a_minute_is_waited_for_not_for_ever(limit: str) -> None:
    time = FakeTime()
    gate = Gates(clock=time.clock, sleep=time.sleep).of("h", "k", "GET")
    gate.leave(1, 200, {"x-ratelimit-limit": limit, "x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"})
    for _ in range(3):
        run(gate.enter())
    assert time.now < 1_795_460_400.0 + 5 * 62


def test_a_passphrase_that_would_take_gigabytes_is_not_tried() -> None:
    sealed = b"age-encryption.org/v1\n-> scrypt xgSRPJQCvR6FB6n8gKICCg 30\n" + b"x" * 100
    with pytest.raises(IntegrityError, match="work factor of 30"):
        decrypt(sealed, (), "phrase")


# -- folders -----------------------------------------------------------------------


def unpacked(folder: Path) -> Path:
    write_tree(folder, to_tree(recorded_snapshot()))
    return folder


@pytest.mark.parametrize("where", ["manifest.json", "stream/x.json", "function/x.js"])
@pytest.mark.parametrize("kind", ["link", "loop", "device link", "pipe", "folder", "socket"])
def test_only_regular_files_of_a_folder_are_read_and_nothing_is_waited_for(
    where: str, kind: str, tmp_path: Path
) -> None:
    folder, outside = unpacked(tmp_path / "folder"), tmp_path / "outside"
    outside.write_text('{"id": "outside"}')
    path = folder / where
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(outside)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "device link":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        import socket

        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    with pytest.raises(IntegrityError, match=r"symbolic link|no regular file|missing|is neither"):
        from_tree(read_tree(folder))


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    folder, other = unpacked(tmp_path / "folder"), unpacked(tmp_path / "other")
    for inner in (folder / "stream").iterdir():
        inner.unlink()
    (folder / "stream").rmdir()
    (folder / "stream").symlink_to(other / "stream")
    with pytest.raises(IntegrityError, match="symbolic link"):
        read_tree(folder)
    before = {path: path.read_bytes() for path in (other / "stream").iterdir()}
    with pytest.raises(BackupError, match="something else than a folder"):
        write_tree(folder, to_tree(recorded_snapshot()))
    assert {path: path.read_bytes() for path in (other / "stream").iterdir()} == before


def test_writing_a_tree_replaces_links_and_never_what_they_point_to(tmp_path: Path) -> None:
    folder, outside = unpacked(tmp_path / "folder"), tmp_path / "outside"
    outside.write_text("precious")
    for path in [p for p in folder.rglob("*.json") if p.name != "manifest.json"]:
        path.unlink()
        path.symlink_to(outside)
    write_tree(folder, to_tree(recorded_snapshot()))
    assert outside.read_text() == "precious"
    assert from_tree(read_tree(folder)) == recorded_snapshot()


def test_a_pipe_named_like_a_leftover_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"{TEMPORARY}{0:016x}")
    (tmp_path / f"{TEMPORARY}{1:016x}").symlink_to("/dev/zero")
    remove_leftovers(tmp_path)


def test_a_folder_that_holds_more_than_an_archive_may_is_refused_unread(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "folder")
    with (folder / "stream" / "big.json").open("wb") as file:
        file.truncate(MAX_DOCUMENT_BYTES)  # sparse
    with pytest.raises(IntegrityError, match="more than"):
        read_tree(folder)


def test_a_type_named_twice_or_thousandfold_is_no_work(tmp_path: Path) -> None:
    files = to_tree(recorded_snapshot())
    mixed = b",".join(b'"a%d",{"a":%d}' % (n, n) for n in range(30_000))
    files["manifest.json"] = files["manifest.json"].replace(b'"types": [', b'"types": [' + mixed + b",")
    with pytest.raises(IntegrityError, match="types"):
        from_tree(files)


# -- memory ------------------------------------------------------------------------


def test_files_without_an_end_are_read_up_to_the_limit() -> None:
    with Path("/dev/zero").open("rb") as handed_over, pytest.raises(BackupError, match="larger than"):
        read_file(Path(f"/dev/fd/{handed_over.fileno()}"))


def test_a_device_is_no_file_to_read() -> None:
    for job in (read_file, read_text_file, read_document):
        with pytest.raises(BackupError, match="/dev/zero: not a regular file"):
            job(Path("/dev/zero"))


@pytest.mark.parametrize(
    "command", [("show", "/dev/zero"), ("--config", "/dev/zero", "snapshots"), ("pack", "/dev/zero")]
)
def test_a_device_is_no_archive_no_settings_and_no_folder(command: tuple[str, ...], tmp_path: Path) -> None:
    done = cli(
        *command,
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
    )
    assert done.returncode in (1, 2, 5)
    assert "mistake" not in done.stderr
    assert "Traceback" not in done.stderr


def test_too_many_values_are_neither_written_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(recorded_snapshot())
    monkeypatch.setattr(strict, "MAX_VALUES", 100)
    with pytest.raises(IntegrityError, match="more than 100 values"):
        decode(data)
    with pytest.raises(BackupError, match="more than 100 values"):
        encode(recorded_snapshot())


@pytest.mark.parametrize(
    "names", ['"é":1,"\\u00e9":2', '"\\u00e9":1,"é":2', '"🦊":1,"\\ud83e\\udd8a":2', '"é":1,"é":2']
)
def test_a_key_spelled_in_two_ways_is_there_twice(names: str) -> None:
    with pytest.raises(strict.TwiceError):
        strict.parse(f'[{{"a":[{{{names}}}]}}]'.encode())
    assert strict.parse('[ {"é":1, "\\u00c3\\u00a9":2}]'.encode()) == [{"é": 1, "Ã©": 2}]


_CHILD = """
import resource, sys
from pathlib import Path
from jitsu_backup.archive import codec, strict
from jitsu_backup.errors import IntegrityError
share, limit = int(sys.argv[2]), int(sys.argv[3])
import jsonschema, orjson
strict._validator()
begun, resident = (int(pages) * resource.getpagesize() for pages in Path("/proc/self/statm").read_text().split()[:2])
codec.MAX_DOCUMENT_BYTES //= share
strict.MAX_VALUES //= share
resource.setrlimit(resource.RLIMIT_AS, (begun + limit // share,) * 2)
try:
    codec.decode(Path(sys.argv[1]).read_bytes())
except IntegrityError as problem:
    most = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    print((most - resident) * share, str(problem)[:60])
"""


def bomb(kind: str, place: str, size: int, values: int) -> bytes:
    """Give a document of `size` bytes that is valid but for one place, where as many values stand as may."""
    document = gzip.decompress(encode(recorded_snapshot())).decode()
    unit, signs = {
        "objects": ('{"":{}}', 3),
        "lists": ("[[]]", 3),
        "texts": ('"ab"', 1),
        "numbers": ("1e15", 1),
    }[kind]
    listed = "[" + ",".join([unit] * ((values - 200_000) // signs)) + "]"
    filler = '"\U0001f98a' + "x" * (size - len(document.encode()) - len(listed) - 100) + '"'
    old, new = {
        "options": ('"options":{', f'"options":{{"a":{listed},"b":{filler},'),
        "run": ('"run":{', f'"run":[{listed},{filler}],"was":{{'),
        "types": ('"not_offered":[', f'"not_offered":[{filler},{listed}'),
    }[place]
    assert document.count(old) == 1
    return gzip.compress(document.replace(old, new).replace("{},}", "{}}").replace(",}", "}").encode(), 1)


@pytest.mark.parametrize("kind", ["objects", "lists", "texts", "numbers"])
@pytest.mark.parametrize("place", ["options", "run", "types"])
def test_the_worst_archive_is_refused_within_the_stated_memory(kind: str, place: str, tmp_path: Path) -> None:
    share = int(os.environ.get("JITSU_BACKUP_TEST_SHARE", "16"))  # of all limits; 1 takes minutes
    path = tmp_path / "bomb.gz"
    path.write_bytes(bomb(kind, place, MAX_DOCUMENT_BYTES // share, strict.MAX_VALUES // share))
    command = [sys.executable, "-c", _CHILD, str(path), str(share), str(ADDRESSES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    memory, _, message = done.stdout.partition(" ")
    print(f"{kind} in {place}: {int(memory) / 2**20:.0f} MiB, {message.strip()}")
    assert message.startswith("the ")
    assert int(memory) < MEMORY
    assert MAX_TEXT_BYTES < MEMORY // 100
