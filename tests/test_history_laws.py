"""Laws of `history`: it tells exactly the changes that were made, and under each how to take it back."""

import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings, strategies as st

from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.history import history
from jitsu_backup.planning.history import History
from jitsu_backup.store import FolderStore, archives
from tests import examples
from tests.histories import NOW, Story, Told, write_story
from tests.support import run

LAW = settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))


def read_history(folder: Path, cache: Path | None = None, now: datetime = NOW) -> History:
    async def found() -> list[History]:
        store = FolderStore(str(folder))
        return await history(store, await archives(store), ArchiveKeys(), now=now, cache=cache)

    (one,) = run(found())
    return one


def told(found: History, story: Story) -> list[Told]:
    return [
        (
            one.change.kind.value,
            story.numbers[one.lineage],
            ",".join(sorted({f.path.partition(".")[0] for f in one.change.fields})),
            step.before.taken_at,
            step.after.taken_at,
        )
        for step in found.steps
        for one in step.changes
    ]


def split(changes: list[Told]) -> Counter[Told]:
    """Changes by field, because those of several archives are told as one only where these are the same."""
    return Counter(
        (kind, number, name, before, after)
        for kind, number, names, before, after in changes
        for name in names.split(",")
    )


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 30))
@LAW
def test_a_history_tells_exactly_the_changes_that_were_made(seed: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        story = write_story(Path(made), seed, steps)
        found = read_history(Path(made))
        assert split(told(found, story)) == split(list(story.expected()))
        times = [step.after.taken_at for step in found.steps]
        assert times == sorted(times, reverse=True)
        newest = {story.numbers[lineage] for lineage in found.lineages.values()}
        assert len(newest) == len(found.lineages)


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 25), first=st.integers(0, 25))
@example(seed=1530, steps=25, first=0)  # the same two states follow each other twice
@LAW
def test_what_is_remembered_changes_nothing(seed: int, steps: int, first: int) -> None:
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as cache:
        folder = Path(made)
        write_story(folder, seed, steps)
        files = sorted(folder.iterdir(), key=lambda path: path.name.split(".")[2])
        later = {path: path.read_bytes() for path in files[first:]}
        for path in later:
            path.unlink()
        if first:
            read_history(folder, Path(cache))
        for path, data in later.items():
            path.write_bytes(data)
        cold, warm = read_history(folder), read_history(folder, Path(cache))
        assert warm == cold
        again = read_history(folder, Path(cache))
        assert again == cold
        if len(files) > 2:  # as prune does
            files[len(files) // 2].unlink()
            assert read_history(folder, Path(cache)) == read_history(folder)
