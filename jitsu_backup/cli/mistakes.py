"""Mistakes of ours, told of without what they may hold."""

from pathlib import Path


def unforeseen(bug: Exception) -> str:
    """Say where a mistake of ours was met; the text of such an exception may hold anything, a secret too."""
    where = bug.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    at = f" at {Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
    return f"a mistake in jitsu-backup ({type(bug).__name__}{at}); JITSU_BACKUP_DEBUG=1 shows more"
