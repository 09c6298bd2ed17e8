"""New write keys of streams. Jitsu never shows them again, so they go to a terminal or a file, but not to a log."""

import secrets
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from jitsu_backup.cli.files import check_folder, check_kept
from jitsu_backup.cli.output import Output
from jitsu_backup.cli.paths import home_folder
from jitsu_backup.errors import BackupError, BlockedError, UsageError
from jitsu_backup.model import plural
from jitsu_backup.operations.restore import Result
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import Plan
from jitsu_backup.reports import key_document
from jitsu_backup.store import check_permitted, folder_lock, read_file, write_file, write_new_file


def check_keys_out(path: Path | None) -> None:
    """Raise UsageError or BackupError for a --keys-out that no key can be added to, before anything is sent."""
    check_kept(path, "--keys-out")
    check_folder(path)
    if path is not None:
        check_permitted(path)
        _keys_in(path)


def check_keys_can_be_shown(app: Output, plan: Plan, keys_out: Path | None) -> None:
    """Raise BlockedError if a plan creates write keys that only a log, or nobody, would get."""
    if _keys_can_be_shown(app, plan, keys_out):
        return
    raise BlockedError(
        f"blocked, nothing was written into Jitsu: the plan creates {plural(plan.made_keys, 'new write key')}, which are shown only once, and"
        " standard output is not a terminal; add --keys-out keys.json to save them to a file that only you can read, or --json"
    )


def tell_of_keys(app: Output, plan: Plan, keys_out: Path | None) -> None:
    """Say that the run itself would be blocked, because nobody would see its write keys."""
    if not _keys_can_be_shown(app, plan, keys_out):
        app.say(
            "without a terminal, this plan is blocked unless --keys-out keys.json or --json saves the new write keys"
        )


def _keys_can_be_shown(app: Output, plan: Plan, keys_out: Path | None) -> bool:
    """Return whether somebody sees the write keys that a plan creates, if any."""
    if not plan.made_keys or keys_out is not None:
        return True
    return sys.stdout is not None and (app.as_json or sys.stdout.isatty())


def write_keys(path: Path, keys: Iterable[StreamKey], host: str, workspace: str = "") -> None:
    """Add write keys of the console `host` to a file of mode 0600 before anything is sent, so that a killed restore loses none.

    If a run writes into several workspaces, `workspace` says which one the keys belong to. Keys that are already in the
    file stay, because another run's key with the same id may be in use. Raise UsageError if the file is not one of ours.
    """
    documents = _documents(keys, host, workspace)
    with folder_lock(path.parent):  # two runs may share the file
        kept = [entry for entry in _keys_in(path) if entry not in documents]
        write_file(path, _keys_file([*kept, *documents]))


def _documents(keys: Iterable[StreamKey], host: str, workspace: str) -> list[dict[str, str]]:
    beside = {"console": host, **({"workspace": workspace} if workspace else {})}
    return [{**beside, **key_document(key)} for key in keys]


def settle_keys(
    path: Path, made: Iterable[StreamKey], result: Result, host: str, workspace: str = ""
) -> None:
    """Remove from a file the keys that were `made` and are not in use, and earlier keys of the same ids as those in use.

    A key may be unused because its id was taken, or because another run made the stream. Keys of consoles other than
    `host` stay, because ids are derived, so another console may have the same ones.
    """
    ours = {key.write_key for key in made}
    documents = _documents(result.keys, host, workspace)
    settled = {document["key_id"] for document in documents} if result.verified else set()

    def is_replaced(entry: dict[str, str]) -> bool:
        return entry["write_key"] in ours or (entry.get("console") == host and entry["key_id"] in settled)

    with folder_lock(path.parent):
        kept = [entry for entry in _keys_in(path) if not is_replaced(entry)]
        write_file(path, _keys_file([*kept, *documents]))


@contextmanager
def shown_or_kept(app: Output, keys: Iterable[StreamKey]) -> Iterator[None]:
    """If the output fails, write the keys that are being shown to a new file, and name it on standard error."""
    try:
        yield
    except BaseException:
        found = list(keys)
        if found:
            path = keep_keys(found)
            lost = "and the new write keys could not be saved; create other ones in the UI"
            kept = f"so the new write keys were saved to {path}, which only you can read; keep it, because Jitsu shows them once"
            app.problem(f"the output failed, {lost if path is None else kept}")
        raise


def keep_keys(keys: Iterable[StreamKey]) -> Path | None:
    """Write keys to a new file of mode 0600 in the first folder that allows it: working, home, or temporary folder.

    Return its path, None if no folder allows it.
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
    """Return the keys in a file, none if it does not exist or is empty. Raise UsageError if it has anything else."""
    data = read_file(path) if path.exists() else b""
    if not data.strip():
        return []
    try:
        match orjson.loads(data):
            case {"stream_keys": [*found], **rest} if not rest and all(map(_is_key, found)):
                return found
    except orjson.JSONDecodeError:
        pass
    raise UsageError(f"--keys-out {path}: the file exists and contains something else; name another")


def _is_key(entry: object) -> bool:
    match entry:
        case {"key_id": str(key_id), "write_key": str(write_key)}:
            return bool(key_id and write_key)
    return False


def _keys_file(documents: list[dict[str, str]]) -> bytes:
    return orjson.dumps({"stream_keys": documents}, option=orjson.OPT_INDENT_2) + b"\n"
