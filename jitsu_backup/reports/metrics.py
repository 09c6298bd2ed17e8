"""Figures of backups for Prometheus, in the format of its node exporter's textfile collector."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from jitsu_backup.operations.alarms import OF_A_WORKSPACE, Alarm, What

_BY_WORKSPACE = ("workspace", "workspace_id")
_WHY = ("reason", "remedy")
_PROBLEM = ("problem", "workspace", *_WHY)
_OF_RUNS = {
    f"jitsu_backup_{run}_{name}": (words.format(whose), labels)
    for run, whose in (("run", "of `backup`"), ("verify_run", "of `verify`"), ("drill_run", "of `drill`"))
    for name, words, labels in (
        ("timestamp_seconds", "When the last run {} ended, well or not", ()),
        ("exit_code", "How the last run {} ended, whatever it was of", ()),
        (
            "problem",
            "1 for what was wrong with the last run {}, beside the workspaces that it backed up",
            _PROBLEM,
        ),
    )
}
"""Figures of a whole run, not of a workspace."""

_OF_CONSOLES: dict[str, tuple[str, tuple[str, ...]]] = {
    f"jitsu_backup_console_drill_{name}": (words, ("console", *more))
    for name, words, more in (
        ("timestamp_seconds", "When the recovery of a console was last rehearsed", ()),
        ("success", "1 where the last drill of a console ended well: all came back", ()),
        ("duration_seconds", "How long the last drill took", ()),
        ("workspaces", "How many workspaces came back whole in the last drill, and how many did not", ("state",)),
        ("entities", "How many entities were meant to come back in the last drill, and how many did", ("state",)),
        ("lacks", "What a recovery of the console would lack", ("what",)),
        ("forecast_seconds", "How long a recovery takes at the least by the limits, by whose key it has", ("key",)),
        ("rpo_seconds", "How old the oldest archive was that a recovery takes: what changed since is lost", ()),
        ("senders_to_change", "How many write keys would be new after a recovery", ()),
        ("clashes", "How much several workspaces claim of what one alone can have", ()),
    )
}  # fmt: skip
"""Figures of a whole console."""

_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    **_OF_RUNS,
    **_OF_CONSOLES,
    "jitsu_backup_last_read_timestamp_seconds": (
        "When a workspace was last read, and an archive has what was read",
        (),
    ),
    "jitsu_backup_last_success_timestamp_seconds": ("When a whole backup was last made", ()),
    "jitsu_backup_last_run_timestamp_seconds": ("When a backup last ended, well or not", ()),
    "jitsu_backup_duration_seconds": ("How long the last backup took", ()),
    "jitsu_backup_exit_code": ("How the last backup ended: 0 well, 3 incomplete or shrunken", ()),
    "jitsu_backup_entities": ("How many entities the last snapshot holds", ("type",)),
    "jitsu_backup_archive_bytes": ("How large the last archive is", ()),
    "jitsu_backup_newest_archive_timestamp_seconds": (
        "When the newest archive in a store was taken",
        ("store",),
    ),
    "jitsu_backup_drill_timestamp_seconds": ("When an archive was last rehearsed", ()),
    "jitsu_backup_drill_whole": ("1 where all of the archive came back in the last rehearsal, else 0", ()),
    "jitsu_backup_drill_lacks": ("What a recovery on an empty console lacks", ("what",)),
} | {
    f"jitsu_backup_{what.label}": (
        f"1 where the last backup of a workspace ended with: {what.words}; else 0",
        _WHY,
    )
    for what in OF_A_WORKSPACE
}

Sample = tuple[str, tuple[tuple[str, str], ...]]
"""A metric's name and its labels, sorted."""


@dataclass(frozen=True, slots=True)
class RunFigures:
    """How the backup of one workspace went: the `seconds` that it took, and when it `ended`, in UTC.

    A workspace whose backup failed may be known only by its id or only by its slug. `counts` is None where nothing was
    read, `size` (bytes) where nothing was written. `alarms` say what is wrong, at most one of each kind. `newest` is when
    the newest archive in `store` was taken, None where no store was read. A workspace that is `unknown` to console and
    store gets figures only where earlier runs had some, because those of a typing mistake would stay for ever.
    """

    workspace: str
    workspace_id: str | None
    exit_code: int
    seconds: float
    ended: datetime
    counts: Mapping[str, int] | None = None
    size: int | None = None
    newest: datetime | None = None
    store: str = ""
    alarms: tuple[Alarm, ...] = ()
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class DrillFigures:
    """How the rehearsal of a workspace's archive went. `lacks` counts what a recovery would lose, by kind."""

    workspace: str
    workspace_id: str
    ended: datetime
    whole: bool
    lacks: Mapping[str, int]
    store: str = ""
    alarms: tuple[Alarm, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsoleFigures:
    """How the drill of a whole console went, which took `seconds`.

    Workspaces are `back` whole or `not_back`; of the entities that were `meant` to come back, some were `restored`. `lacks`
    counts what a recovery would lose, by kind; `forecasts` are in seconds, by whose key the recovery has. `oldest` is the age
    of the oldest archive in seconds, None without one.
    """

    console: str
    ended: datetime
    whole: bool
    seconds: float
    back: int
    not_back: int
    meant: int
    restored: int
    lacks: Mapping[str, int]
    forecasts: Mapping[str, float]
    oldest: float | None
    senders: int
    clashes: int


Figures = RunFigures | DrillFigures | ConsoleFigures


def tells_of_backups(text: str) -> bool:
    """Return whether figures tell of a backup that was made. Raise ValueError for a text that holds no figures."""
    told = ("jitsu_backup_last_success_timestamp_seconds", "jitsu_backup_newest_archive_timestamp_seconds")
    return any(name in told for (name, _), _ in _samples(text))


def newest_archives(text: str, store: str) -> dict[str, float]:
    """Return when each workspace's newest archive in a store was taken, in seconds of Unix time, by workspace id.

    Raise ValueError for a text that holds no figures.
    """
    return {
        dict(labels)["workspace_id"]: value
        for (name, labels), value in _samples(text)
        if name == "jitsu_backup_newest_archive_timestamp_seconds" and dict(labels).get("store") == store
    }


def metrics_text(
    before: str,
    figures: Iterable[Figures],
    exit_code: int,
    ended: datetime,
    alarms: Iterable[Alarm] = (),
    *,
    run: str = "run",
) -> str:
    """Return the file's new text: how the run ended, and `figures` over those that were there `before`.

    So the time of the last success outlives a failure, and other workspaces keep their figures. `alarms` are those of
    the run, and `run` is "run", or "verify_run" and "drill_run" for these commands. Raise ValueError where `before` holds no figures.
    """
    given = list(figures)
    consoles = [one for one in given if isinstance(one, ConsoleFigures)]
    own = [one for one in given if not isinstance(one, ConsoleFigures)]
    try:
        samples = dict(_samples(before))
    except ValueError:
        if "jitsu_backup_" not in before:
            raise
        samples = {}  # ours, and damaged: it begins anew
    had = {name for sample in samples for name in _pair(sample)}
    own = [one for one in own if one.workspace in had or not getattr(one, "unknown", False)]
    for console in consoles:
        samples = _with_console(samples, console)
    name = f"jitsu_backup_{run}"
    samples = {key: value for key, value in samples.items() if key[0] != f"{name}_problem"}
    samples |= {
        (f"{name}_timestamp_seconds", ()): ended.timestamp(), (f"{name}_exit_code", ()): float(exit_code),
    }  # fmt: skip
    for one in own:
        samples = _with_figures(samples, one)
    told = {alarm for one in own for alarm in one.alarms}
    samples |= {(f"{name}_problem", _problem(alarm)): 1.0 for alarm in alarms if alarm not in told}
    return _render(samples)


def _with_console(samples: Mapping[Sample, float], one: ConsoleFigures) -> dict[Sample, float]:
    """Return samples with the figures of a console in place of its earlier ones."""
    kept = {
        key: value
        for key, value in samples.items()
        if not (key[0] in _OF_CONSOLES and dict(key[1])["console"] == one.console)
    }
    figures: dict[str, tuple[str, Mapping[str, float | None]]] = {
        "timestamp_seconds": ("", {"": one.ended.timestamp()}),
        "success": ("", {"": one.whole}),
        "duration_seconds": ("", {"": round(one.seconds, 3)}),
        "workspaces": ("state", {"back": one.back, "not_back": one.not_back}),
        "entities": ("state", {"meant": one.meant, "back": one.restored}),
        "lacks": ("what", one.lacks),
        "forecast_seconds": ("key", one.forecasts),
        "rpo_seconds": ("", {"": one.oldest}),
        "senders_to_change": ("", {"": one.senders}),
        "clashes": ("", {"": one.clashes}),
    }
    for name, (label, values) in figures.items():
        for which, value in values.items():
            labels = {"console": one.console, **({label: which} if label else {})}
            if value is not None:
                kept[f"jitsu_backup_console_drill_{name}", tuple(sorted(labels.items()))] = float(value)
    return kept


def _with_figures(samples: dict[Sample, float], one: RunFigures | DrillFigures) -> dict[Sample, float]:
    """Return samples with the figures of a workspace over its earlier ones."""
    known = _labels_known(samples, one)
    owned = dict(known) if known is not None else _labels(one)
    if one.workspace_id is not None:  # now that it is known whole, what was counted under half of it goes
        halves = {(name, name) for name in (one.workspace, one.workspace_id)}
        samples = {key: value for key, value in samples.items() if _pair(key) not in halves}
        samples = _renamed(samples, one)
    fresh = dict(_figures(one, owned))
    renewed = {name for name, _ in fresh}
    kept = {
        key: value
        for key, value in samples.items()
        if not (key[0] in renewed and owned.items() <= dict(key[1]).items() and _is_of(key, one.store))
    }
    return kept | fresh


def _problem(alarm: Alarm) -> tuple[tuple[str, str], ...]:
    labels = (alarm.what.label, alarm.workspace, alarm.why, alarm.remedy)
    return tuple(sorted(zip(_PROBLEM, labels, strict=True)))


def _renamed(samples: Mapping[Sample, float], one: RunFigures | DrillFigures) -> dict[Sample, float]:
    """Move the figures of a workspace from an earlier slug to its own, so that its last success outlives a new slug too."""
    moved: dict[Sample, float] = {}
    others: dict[Sample, float] = {}
    for key, value in samples.items():
        labels = dict(key[1])
        mine = labels.get("workspace_id") == one.workspace_id
        new = (key[0], tuple(sorted({**labels, "workspace": one.workspace}.items()))) if mine else key
        (others if new == key else moved)[new] = value
    return moved | others


def _figures(one: RunFigures | DrillFigures, labels: dict[str, str]) -> Iterator[tuple[Sample, float]]:
    def sample(name: str, value: float, **more: str) -> tuple[Sample, float]:
        return (f"jitsu_backup_{name}", tuple(sorted({**labels, **more}.items()))), float(value)

    if isinstance(one, DrillFigures):
        yield sample("drill_timestamp_seconds", one.ended.timestamp())
        yield sample("drill_whole", one.whole)
        for kind, count in one.lacks.items():
            yield sample("drill_lacks", count, what=kind)
        return
    ended = one.ended.timestamp()
    figures = {
        "last_success_timestamp_seconds": ended if one.exit_code == 0 else None,
        "last_read_timestamp_seconds": None if one.counts is None else ended,
        "last_run_timestamp_seconds": ended,
        "duration_seconds": round(one.seconds, 3),
        "exit_code": one.exit_code,
        "archive_bytes": one.size,
    }
    yield from (sample(name, value) for name, value in figures.items() if value is not None)
    found = {alarm.what: alarm for alarm in one.alarms}
    for what in OF_A_WORKSPACE:
        alarm = found.get(what)
        if one.counts is None and what is not What.FAILED:
            continue  # nothing was read: what was wrong before may still be
        why = {"reason": alarm.why, "remedy": alarm.remedy} if alarm else dict.fromkeys(_WHY, "")
        yield sample(what.label, alarm is not None, **why)
    if one.newest is not None:
        yield sample("newest_archive_timestamp_seconds", one.newest.timestamp(), store=one.store)
    for type_name, count in (one.counts or {}).items():
        yield sample("entities", count, type=type_name)


def _is_of(sample: Sample, store: str) -> bool:
    """Return whether a sample is not of another store: backups may go to two stores by turns."""
    return dict(sample[1]).get("store", store) == store


def _pair(sample: Sample) -> tuple[str, ...]:
    return tuple(value for name, value in sample[1] if name in _BY_WORKSPACE)


def _labels(one: RunFigures | DrillFigures) -> dict[str, str]:
    return {"workspace": one.workspace, "workspace_id": one.workspace_id or one.workspace}


def _labels_known(samples: Iterable[Sample], one: RunFigures | DrillFigures) -> dict[str, str] | None:
    """Return an earlier run's labels of a workspace of which this run knows only id or slug, because its backup failed."""
    if one.workspace_id is not None:
        return None
    known = {pair for pair in map(_pair, samples) if len(pair) == len(_BY_WORKSPACE)}
    by_id = [pair for pair in known if pair[-1] == one.workspace]
    found = by_id or [pair for pair in known if pair[0] == one.workspace]
    return dict(zip(_BY_WORKSPACE, found[0], strict=True)) if len(found) == 1 else None


def _samples(text: str) -> Iterator[tuple[Sample, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in _GAUGES:
                yield (sample.name, tuple(sorted(sample.labels.items()))), float(sample.value)


def _render(samples: Mapping[Sample, float]) -> str:
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}  # none without samples: another file may have them
    for (name, labels), value in sorted(samples.items()):
        words, more = _GAUGES[name]
        by = more if name in _OF_RUNS or name in _OF_CONSOLES else (*_BY_WORKSPACE, *more)
        if name not in gauges:
            gauges[name] = Gauge(name, words, by, registry=registry)
        (gauges[name].labels(**dict(labels)) if by else gauges[name]).set(value)
    return generate_latest(registry).decode()
