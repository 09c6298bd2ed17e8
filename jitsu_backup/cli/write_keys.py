"""New write keys of streams: Jitsu never shows them again, so a person or a file gets them, and no log unasked."""

import secrets
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from jitsu_backup.cli.output import Output
from jitsu_backup.cli.paths import home_folder
from jitsu_backup.errors import BackupError, BlockedError, UsageError
from jitsu_backup.model import plural
from jitsu_backup.operations.restore import Result
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import Plan
from jitsu_backup.reports import key_document
from jitsu_backup.store import folder_lock, read_file, write_file, write_new_file


def check_keys_can_be_shown(app: Output, plan: Plan, keys_out: Path | None) -> None:
    """Raise BlockedError where a plan makes write keys that only a log, or nobody, would get."""
    if _keys_can_be_shown(app, plan, keys_out):
        return
    raise BlockedError(
        f"blocked, nothing was written: the plan makes {plural(plan.made_keys, 'new write key')}, and standard output, where they"
        " would be shown once, is not a terminal; add --keys-out keys.json, a file that only you can read, or --json"
    )


def tell_of_keys(app: Output, plan: Plan, keys_out: Path | None) -> None:
    """Say where a dry run ends well, but the run itself would be blocked because nobody would see its write keys."""
    if not _keys_can_be_shown(app, plan, keys_out):
        needed = "--keys-out keys.json, or --json, for the new write keys"
        app.say(f"without a terminal, this needs {needed}; else it is blocked")


def _keys_can_be_shown(app: Output, plan: Plan, keys_out: Path | None) -> bool:
    """Return whether somebody sees the write keys that a plan makes, if it makes any."""
    if not plan.made_keys or keys_out is not None:
        return True
    return sys.stdout is not None and (app.as_json or sys.stdout.isatty())


def write_keys(path: Path, keys: Iterable[StreamKey], workspace: str = "") -> None:
    """Add write keys to a file of mode 0600, before anything is sent, so that a killed restore loses none.

    Where a run writes into several workspaces, `workspace` tells whose they are.
    The keys in the file stay because another run's key of the same id may be the one in use. Raise UsageError where the
    file exists and is not one of ours.
    """
    documents = _documents(keys, workspace)
    with folder_lock(path.parent):  # two runs may share the file
        kept = [entry for entry in _keys_in(path) if entry not in documents]
        write_file(path, _keys_file([*kept, *documents]))


def _documents(keys: Iterable[StreamKey], workspace: str) -> list[dict[str, str]]:
    return [{**({"workspace": workspace} if workspace else {}), **key_document(key)} for key in keys]


def settle_keys(path: Path, made: Iterable[StreamKey], result: Result, workspace: str = "") -> None:
    """Remove from a file the keys that were `made` and are not in use, and earlier keys of the same ids as those in use.

    A key may be unused because its id was taken, or because another run made the stream.
    """
    ours = {key.write_key for key in made}
    documents = _documents(result.keys, workspace)
    settled = {document["key_id"] for document in documents} if result.verified else set()
    with folder_lock(path.parent):
        kept = [e for e in _keys_in(path) if e["write_key"] not in ours and e["key_id"] not in settled]
        write_file(path, _keys_file([*kept, *documents]))


@contextmanager
def shown_or_kept(app: Output, keys: Iterable[StreamKey]) -> Iterator[None]:
    """Where the output breaks, write the keys that are being shown to a new file, and say on standard error which."""
    try:
        yield
    except BaseException:
        found = list(keys)
        if found:
            path = keep_keys(found)
            lost = ", and the new write keys could be written into no file: make others in the UI"
            kept = f": the new write keys are in {path}, a file that only you can read"
            app.problem(f"the output broke off{lost if path is None else kept}")
        raise


def keep_keys(keys: Iterable[StreamKey]) -> Path | None:
    """Write keys to a new file of mode 0600 in the first folder that takes it: the working one, home, the temporary one.

    Return its path, None where no folder takes it.
    """
    data = _keys_file([key_document(key) for key in keys])
    name = f"jitsu-backup-keys-{secrets.token_hex(8)}.json"
    for folder in (Path(), home_folder(), _temporary()):
        try:
            if folder is not None and write_new_file(folder / name, data):
                return folder / name
        except BackupError:
            continue
    return None


def _temporary() -> Path | None:
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return None


def _keys_in(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        found: list[dict[str, str]] = orjson.loads(read_file(path))["stream_keys"]
        return [entry for entry in found if entry["key_id"] and entry["write_key"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        told = "that file exists and holds something else; name another"
        raise UsageError(f"--keys-out {path}: {told}") from None


def _keys_file(documents: list[dict[str, str]]) -> bytes:
    return orjson.dumps({"stream_keys": documents}, option=orjson.OPT_INDENT_2) + b"\n"
