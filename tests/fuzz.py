"""Hostile input, with one target for each reader of untrusted data; only our own errors may be raised.

`python -m tests.fuzz TARGET --seconds N` lets atheris (`pip install atheris`, Python 3.11) look for more; `all` takes
the targets in turn. tests/test_hostile.py runs the same targets under hypothesis.
"""

import argparse
import gzip
import importlib.util
import io
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import orjson
import rich.console

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDER = Path(tempfile.gettempdir())

_PIECES: tuple[bytes, ...] = (
    b"null", b"true", b"0", b"-1", b"-0.0", b"1e999", b"-1e999", b"NaN", b"Infinity", b"1" * 5000, b"0x" + b"f" * 6000,
    b"9223372036854775808", b"18446744073709551616", b"1e308", b"2.5", b"0b1", b"1_000", b"inf", b"nan", b'""', b"''",
    b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xf0\x9f\xa6\x8a"', b'"\xc2\xb2"', b'"' + b"x" * 3000 + b'"', b"{}", b"[]",
    b'{"a":1,"a":2}', b"[" * 300 + b"]" * 300, b"[" * 3000, b'{"a":' * 240 + b"1" + b"}" * 240, b'{"$file":"../x.js"}',
    b'{"$value":1}', b'{"id":"__proto__"}', b'"__MASKED_BY_JITSU__"', b'"__*$undef$*__"', b'"../../etc/passwd"',
    b'"2026-13-40T00:00:00Z"', b"1979-05-27T07:32:00Z", b"07:32:00", b'["x"]', b'[1,"x",null]', b'{"env":"NOWHERE"}',
    b'{env = "HOME"}', b'{file = "/dev/zero"}', b'{command = ["x"]}', b'{"1":{"0":1}}', b'"udf.x"', b'"${7*7}"', b'"{{7*7}}"',
    b'"%(x)s%n%s"', b'"a.b.c.d"', b'"' + b"a." * 2000 + b'a"', b"a." * 2000 + b"a", b'"$(touch evaluated)"', b"\r", b"\0",
)  # fmt: skip
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|\{\}|\[\]|[a-z_]+ ?=')


def spoil(seed: bytes, dice: random.Random) -> bytes:
    """Return `seed` with one to three of its tokens replaced, doubled, swapped, cut out, or bytes changed."""
    for _ in range(dice.randint(1, 3)):
        tokens = list(_TOKEN.finditer(seed))
        if not tokens or dice.random() < 0.15:
            at = dice.randrange(len(seed) + 1)
            seed = (
                seed[:at]
                + dice.choice((dice.choice(_PIECES), bytes([dice.randrange(256)])))
                + seed[at + dice.randrange(3) :]
            )
            continue
        one, other = dice.choice(tokens), dice.choice(tokens)
        new = dice.choice((dice.choice(_PIECES), dice.choice(_PIECES), other[0], one[0] + b"," + one[0], b""))
        end = min(len(seed), one.end() + (dice.randrange(200) if dice.random() < 0.1 else 0))
        seed = seed[: one.start()] + new + seed[end:]
    return seed


# -- targets: each takes bytes and lets only our own errors out --------------------


def archive(data: bytes) -> None:
    """Read bytes as an archive: as they are, gzipped, signed, encrypted; and use what can be read."""
    from jitsu_backup.archive import decode, decrypt
    from jitsu_backup.errors import IntegrityError, LockedError
    from jitsu_backup.model import content_digest

    with suppress(IntegrityError):
        decode(data)
    with suppress(IntegrityError, LockedError):
        decrypt(data, (data, _key()), None)
    found = None
    with suppress(IntegrityError):
        found = decode(gzip.compress(data, 1))
    with suppress(orjson.JSONDecodeError, orjson.JSONEncodeError, TypeError, KeyError, IntegrityError):
        document = orjson.loads(data)
        document["digest"] = content_digest({n: document[n] for n in ("content", "manifest")})
        found = decode(gzip.compress(orjson.dumps(document), 1))
    if found is not None:
        _use(found)


def _use(snapshot: Any) -> None:
    """Do everything with a snapshot that commands do with one."""
    from jitsu_backup.archive import archive_name, digest, encode, from_tree, to_tree
    from jitsu_backup.errors import BackupError
    from jitsu_backup.planning import PlanOptions, compare, make_plan
    from jitsu_backup.reports import plan_document, snapshot_document
    from jitsu_backup.reports.html import snapshot_page

    name = digest(snapshot)
    encode(snapshot)
    assert "/" not in str(archive_name(snapshot))
    tree = to_tree(snapshot)
    assert all(inside(path) for path in tree)
    plain = replace(snapshot, manifest=replace(snapshot.manifest, cloned=None), bases={})
    assert digest(from_tree(tree)) == digest(plain)  # a record is unpacked as the snapshot that it is
    to_tree(snapshot, redacted=True)
    snapshot_document(snapshot, name)
    assert b"evaluated" not in snapshot_page(snapshot, name).encode() or b"$(touch evaluated)" in encode_text(
        snapshot
    )
    with suppress(BackupError):
        compare(_example(), snapshot, _schemas())
    with suppress(BackupError):
        plan_document(make_plan(snapshot, _example(), PlanOptions()))


def encode_text(snapshot: Any) -> bytes:
    """Return all texts of a snapshot."""
    return b"$(touch evaluated)" + repr([e.body for e in snapshot.entities]).encode(errors="replace")


def inside(path: str) -> bool:
    """Return whether a path stays in its folder, on any system."""
    return all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", part) for part in path.split("/"))


def folder(data: bytes) -> None:
    """Read bytes as the files of an unpacked folder: the first line names the file that they take the place of."""
    from jitsu_backup.archive import encode, from_tree, left_out, unmerged
    from jitsu_backup.archive.tree_layout import own_files, tree_header
    from jitsu_backup.errors import BackupError

    line, _, body = data.partition(b"\n")
    files = dict(_tree())
    path = line.decode("latin-1")
    files[sorted(files)[len(line) % len(files)] if path.startswith("?") else path] = body
    own_files(files)
    unmerged(files)
    tree_header(body)
    with suppress(BackupError):
        snapshot = from_tree(files)
        left_out(files, snapshot)
        encode(snapshot)


def overlay(data: bytes) -> None:
    """Read bytes as an overlay, TOML and JSON, and plan with it."""
    from jitsu_backup.errors import BackupError
    from jitsu_backup.planning import PlanOptions, make_plan
    from jitsu_backup.settings.overlay_file import open_overlay

    for name in ("overlay.toml", "overlay.json"):
        path = FOLDER / name
        path.write_bytes(data)
        with suppress(BackupError):
            plan = make_plan(
                _example(), _example(), PlanOptions(overlay=open_overlay(path, os.environ).parse())
            )
            for action in plan.actions:
                orjson.dumps(action.body)


def config(data: bytes) -> None:
    """Read bytes as a settings file, and ask it for everything."""
    from jitsu_backup.archive.retention import policy_of
    from jitsu_backup.errors import BackupError
    from jitsu_backup.settings import Overrides, load, problems, read_document

    path = FOLDER / "jitsu-backup.toml"
    path.write_bytes(data)
    with mock.patch("subprocess.run", side_effect=OSError), suppress(BackupError):  # chosen by the stranger
        list(problems(read_document(path)))
        settings = load(path, {"HOME": str(FOLDER)}, FOLDER, FOLDER, Overrides())
        jobs: list[Callable[[], object]] = [
            settings.passphrase, settings.ping, lambda: settings.place(None),
            lambda: policy_of({k: v for k, v in settings.retention.items() if k != "time_zone"}),
            *(lambda name=name: settings.place(f"@{name}") for name in settings.places_named()),
        ]  # fmt: skip
        for job in jobs:
            with suppress(BackupError):
                repr(job())


def reply(data: bytes) -> None:
    """Read bytes as a console's answer: a status, header lines, an empty line and a body."""
    from jitsu_backup.console import Console, Gates
    from jitsu_backup.console.replies import classify
    from jitsu_backup.errors import BackupError
    from tests.support import FakeTime, run

    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    status = int(first[:3]) if re.fullmatch(rb"[1-5]\d\d", first[:3]) else 500
    headers = [
        (name.strip(), value.strip()) for name, colon, value in (i.partition(b":") for i in lines) if colon
    ]
    headers = [
        (name, value)
        for name, value in headers
        if name.lower() not in (b"content-encoding", b"content-length")
    ]
    for method in ("GET", "PUT"):
        classify(method, status, httpx.Headers(headers), body)
    time = FakeTime()
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, content=body))

    async def ask() -> None:
        gates = Gates(clock=time.clock, sleep=time.sleep)
        async with Console(
            "http://sandbox.example",
            "key:secret",
            transport=transport,
            clock=time.clock,
            sleep=time.sleep,
            gates=gates,
        ) as console:
            with suppress(BackupError):
                await console.list("/api/w/config/stream", "stream", "objects")
            with suppress(BackupError):
                await console.write("PUT", "/x", {"password": "hunter2"}, repeatable=False)

    run(ask())
    assert time.now < 1_795_460_400.0 + 40 * 86_400 * 12, "waits for years"


def schema(data: bytes) -> None:
    """Read bytes as a console's schema of every type; plan and compare with it."""
    from jitsu_backup.errors import BackupError
    from jitsu_backup.planning import Ids, PlanOptions, compare, make_plan

    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    if not isinstance(found, Mapping):
        return
    schemas = dict.fromkeys(("function", "destination", "stream", "service", "destination/clickhouse"), found)
    with suppress(BackupError):
        make_plan(_example(), _example(), PlanOptions(ids=Ids.NEW, schemas=schemas))
    with suppress(BackupError):
        compare(_example(), _example(), schemas)


def text(data: bytes) -> None:
    """Read bytes as a slug, a name and a message of a console, and show them everywhere."""
    from jitsu_backup.archive import archive_name, digest, encode, parse_name
    from jitsu_backup.console.replies import classify
    from jitsu_backup.model import HARMFUL
    from jitsu_backup.operations.alarms import Alarm, What
    from jitsu_backup.planning import PlanOptions, make_plan
    from jitsu_backup.reports import plan_view, snapshot_view
    from jitsu_backup.reports.html import plan_page, snapshot_page

    words = data.decode(errors="replace")
    one = _example()
    source = replace(one.manifest.source, slug=words, name=words, console_version=words)
    bodies = [
        replace(e, body={**e.body, "name": words}) if e.key.type == "function" else e for e in one.entities
    ]
    snapshot = replace(one, manifest=replace(one.manifest, source=source), entities=tuple(bodies))
    name = archive_name(snapshot, size=len(encode(snapshot)))
    assert parse_name(str(name)) == name
    plan = make_plan(snapshot, one, PlanOptions())
    screen = io.StringIO()
    terminal = rich.console.Console(
        file=screen, width=80, force_terminal=True, markup=False, emoji=False, color_system=None
    )
    terminal.print(snapshot_view(snapshot, digest(snapshot)))
    terminal.print(plan_view(plan, verbose=True))
    assert not HARMFUL.search(screen.getvalue().replace("\n", ""))
    for page in (snapshot_page(snapshot, digest(snapshot)), plan_page(plan, snapshot, one)):
        assert "<script>evil" not in page
    verdict = classify("GET", 500, httpx.Headers(), orjson.dumps({"error": words, "message": words}))
    assert not HARMFUL.search(str(Alarm(What.FAILED, repr(verdict) + words, words, words)))


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "archive": archive, "folder": folder, "overlay": overlay, "config": config, "reply": reply, "schema": schema,
    "text": text,
}  # fmt: skip


# -- what valid input looks like ---------------------------------------------------


@cache
def _example() -> Any:
    from tests.support import console_of, example_sandbox, read, run

    return run(read(console_of(example_sandbox()), "acme-staging"))


@cache
def _schemas() -> Any:
    from jitsu_backup.sandbox import known_schemas

    return known_schemas()


@cache
def _tree() -> dict[str, bytes]:
    from jitsu_backup.archive import to_tree

    return to_tree(_example())


@cache
def _key() -> bytes:
    import pyrage

    return str(pyrage.x25519.Identity.generate()).encode()


def _recipient() -> str:
    import pyrage

    return str(pyrage.x25519.Identity.from_str(_key().decode()).to_public())


_OVERLAY = b"""\
["destination/*"]
password = {env = "HOME"}
host = "db.example"
port = 5432
["service/CRM".credentials]
password = "x"
tunnel_method.ssh_key = "y"
["stream/*"]
domains.0 = "x.example"
"name" = "n"
["link/*".data]
functions.0.functionId = "udf.x"
batchSize = 10
"""
_CONFIG = b"""\
host = "https://jitsu.example.com"
workspace = "acme"
key = {env = "HOME"}
admin_token = "id:hunter2"
passphrase = {command = ["pass", "x"]}
store = "s3://bucket/prefix"
encrypt_to = ["age1x", "file"]
identity = "~/key"
ping = {file = "ping"}
metrics = "m.prom"
shrink_alarm = 0.5
allow_unseen = ["x"]
[retention]
keep_daily = 7
keep_within = "14d"
keep_label = ["x"]
time_zone = "Europe/Berlin"
[profiles.a]
host = "https://other.example"
key = "id:hunter2"
workspace = "w"
overlay = "o.toml"
ca_bundle = "ca.pem"
"""
_TEXTS = (
    b"acme-staging", b"[/nope] [bold]x[/] :bug:", b"\x1b[2J\x1b]0;x\x07", "\u202eabc\u2066 \u200f".encode(), b"<script>evil</script>",
    b"a/../b", b"..", b"", b"-rf", b"x" * 3000, "\u0645\u06cc\u200c\u062e".encode(), b"two\nlines\r", b"{{7*7}} ${x} %s", b"acme--2026.json.gz",
)  # fmt: skip
_HEADERS = b"\ncontent-type: application/json\nretry-after: 5\nx-ratelimit-limit: 50\nx-ratelimit-remaining: 1\nx-ratelimit-reset: 9\n\n"


@cache
def seeds(target: str) -> tuple[bytes, ...]:
    """Return valid input of a target."""
    from jitsu_backup.archive import encode, encrypt

    if target == "archive":
        data = encode(_example())
        old = [(FIXTURES / "archives" / f"v{n}.json.gz").read_bytes() for n in (1, 2, "3-record")]
        return (*map(gzip.decompress, (data, *old)), data, encrypt(data[:400], [_recipient()]), _key())
    if target == "folder":
        paths = [*_tree(), "function/new.json", "../x", "stream/.x", "stream/a/b"]
        return tuple(
            p.encode() + b"\n" + _tree().get(p, b'{"id":"n","code":{"$file":"new.js"}}') for p in paths
        )
    if target == "overlay":
        return (
            _OVERLAY,
            b'{"destination/*":{"password":{"env":"HOME"},"a":{"0":[1]}},"link/*":{"data":{"x":1.5}}}',
        )
    if target == "config":
        return (_CONFIG,)
    if target == "schema":
        return tuple(orjson.dumps(found) for found in _schemas().values() if len(orjson.dumps(found)) < 4000)
    if target == "text":
        return _TEXTS
    recorded = orjson.loads((FIXTURES / "recordings.json").read_bytes())
    exchanges = (
        recorded if isinstance(recorded, list) else next(v for v in recorded.values() if isinstance(v, list))
    )
    bodies = {
        orjson.dumps(e.get("response", e).get("body")): e.get("response", e).get("status", 200)
        for e in exchanges
    }
    made = [str(status).encode() + _HEADERS + body for body, status in bodies.items() if len(body) < 3000]
    own = b'500%s{"message":"Failed","error":{"issues":[{"path":["a",1],"code":"invalid_type","expected":"x"}]},"status":404}'
    return (*made, own % _HEADERS, b"429" + _HEADERS + b'{"message":"Retry after 7 seconds"}')


# -- the command -------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz the readers with atheris."
    )
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print(
            "atheris is not installed here: pip install atheris (Python 3.11); tests/test_hostile.py does without"
        )
        return 2
    if given.target == "all":
        command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(given.seconds)]
        return max(subprocess.run([*command, target], check=False).returncode for target in TARGETS)
    return _fuzz(given.target, given.seconds)


def _fuzz(target: str, seconds: int) -> int:
    import atheris

    global FOLDER  # noqa: PLW0603  the targets know no other way
    with atheris.instrument_imports(include=["jitsu_backup"]):
        for name in (
            "archive.strict",
            "settings.overlay_file",
            "reports.html",
            "api.replies",
            "settings",
            "sandbox",
        ):
            importlib.import_module(f"jitsu_backup.{name}")
    FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(target)):
        (corpus / str(number)).write_bytes(seed)
    os.chdir(FOLDER)

    def change(data: bytes, most: int, seed: int) -> bytes:
        dice = random.Random(seed)
        return spoil(data, dice)[:most] if dice.random() < 0.7 else bytes(atheris.Mutate(data, most))

    options = ("-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=1", "-max_len=60000", "-verbosity=0")
    atheris.Setup(
        [target, *options, f"-max_total_time={seconds}", f"-artifact_prefix={FOLDER}/", str(corpus)],
        TARGETS[target],
        custom_mutator=change,
    )
    print(f"{target}: {seconds} seconds, findings in {FOLDER}", flush=True)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
