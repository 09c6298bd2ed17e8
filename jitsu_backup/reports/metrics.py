"""Metrics of backups for Prometheus, in the format of the node exporter's textfile collector."""

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
    for run, whose in (("run", "backup"), ("verify_run", "verify"), ("drill_run", "drill"))
    for name, words, labels in (
        ("timestamp_seconds", "Time when the last `{}` run ended, successful or not, in Unix seconds", ()),
        ("exit_code", "Exit code of the last `{}` run", ()),
        (
            "problem",
            "1 for each problem of the last `{}` run that belongs to no backed-up workspace",
            _PROBLEM,
        ),
    )
}
"""Metrics of a whole run."""

_OF_CONSOLES: dict[str, tuple[str, tuple[str, ...]]] = {
    f"jitsu_backup_console_drill_{name}": (words, ("console", *more))
    for name, words, more in (
        ("timestamp_seconds", "Time of the last recovery drill of a console, in Unix seconds", ()),
        ("success", "1 if the last drill restored everything, else 0", ()),
        ("duration_seconds", "Duration of the last drill in seconds", ()),
        ("workspaces", "Workspaces that the last drill restored completely (back) and that it did not (not_back)", ("state",)),
        ("entities", "Entities that the last drill had to restore (meant) and did restore (back)", ("state",)),
        ("lacks", "Number of things that a recovery of the console could not restore, by kind", ("what",)),
        ("forecast_seconds", "Least duration of a recovery in seconds under the rate limits, by the key that it uses", ("key",)),
        ("rpo_seconds", "Age in seconds of the oldest archive that a recovery uses; later changes are lost", ()),
        ("senders_to_change", "Write keys that would be new after a recovery, so senders must change", ()),
        ("clashes", "Names, such as domains, that several workspaces claim although only one can have them", ()),
    )
}  # fmt: skip
"""Metrics of a whole console."""

_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    **_OF_RUNS,
    **_OF_CONSOLES,
    "jitsu_backup_last_read_timestamp_seconds": (
        "Time when a workspace was last read, or found unchanged, and so was in the store, in Unix seconds",
        (),
    ),
    "jitsu_backup_last_success_timestamp_seconds": ("Time of the last complete backup, in Unix seconds", ()),
    "jitsu_backup_last_run_timestamp_seconds": (
        "Time when the last backup ended, successful or not, in Unix seconds",
        (),
    ),
    "jitsu_backup_duration_seconds": ("Duration of the last backup in seconds", ()),
    "jitsu_backup_exit_code": ("Exit code of the last backup: 0 complete, 3 incomplete or shrunk", ()),
    "jitsu_backup_entities": ("Entities in the last snapshot, by type", ("type",)),
    "jitsu_backup_archive_bytes": ("Size of the last archive in bytes", ()),
    "jitsu_backup_newest_archive_timestamp_seconds": (
        "Time when the newest archive in a store was taken, in Unix seconds",
        ("store",),
    ),
    "jitsu_backup_drill_timestamp_seconds": ("Time when an archive was last rehearsed, in Unix seconds", ()),
    "jitsu_backup_drill_whole": ("1 if the last rehearsal restored the whole archive, else 0", ()),
    "jitsu_backup_drill_lacks": (
        "Number of things that a recovery on an empty console could not restore, by kind",
        ("what",),
    ),
} | {
    f"jitsu_backup_{what.label}": (
        f"1 if the workspace {'was ' * (what is What.FAILED)}{what.words} (last backup), else 0",
        _WHY,
    )
    for what in OF_A_WORKSPACE
}

Sample = tuple[str, tuple[tuple[str, str], ...]]
"""A metric's name and its labels, sorted."""


@dataclass(frozen=True, slots=True)
class RunFigures:
    """How the backup of one workspace went: the `seconds` that it took, and when it `ended`, in UTC.

    If the backup failed, only the id or only the slug of the workspace may be known. `counts` is None if nothing was
    read, `size` (bytes) if nothing was written. `alarms` say what is wrong, at most one of each kind. `newest` is the time
    of the newest archive in `store`, None if no store was read. A workspace that is `unknown` to console and store gets
    metrics only if earlier runs had some, because those of a misspelt name would stay for ever.
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
    """How the rehearsal of a workspace's archive went. `lacks` counts what a recovery could not restore, by kind."""

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

    `back` workspaces were restored completely, `not_back` were not. Of the `meant` entities, `restored` ones were. `lacks`
    counts what a recovery could not restore, by kind. `forecasts` are in seconds, by the key that the recovery uses.
    `oldest` is the age of the oldest archive in seconds, None without one.
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
    """Return whether metrics show that a backup was made. Raise ValueError for a text that is not metrics."""
    names = ("jitsu_backup_last_success_timestamp_seconds", "jitsu_backup_newest_archive_timestamp_seconds")
    return any(name in names for (name, _), _ in _samples(text))


def newest_archives(text: str, store: str) -> dict[str, float]:
    """Return when each workspace's newest archive in a store was taken, in Unix seconds, by workspace id.

    Raise ValueError for a text that is not metrics.
    """
    return {
        dict(labels)["workspace_id"]: value
        for (name, labels), value in _samples(text)
        if name == "jitsu_backup_newest_archive_timestamp_seconds" and dict(labels).get("store") == store
    }


def last_reads(text: str) -> dict[str, float]:
    """Return when each workspace was last read or found unchanged, in Unix seconds, by workspace id.

    Raise ValueError for a text that is not metrics.
    """
    return {
        dict(labels)["workspace_id"]: value
        for (name, labels), value in _samples(text)
        if name == "jitsu_backup_last_read_timestamp_seconds"
    }


def unseen_workspaces(text: str) -> list[Alarm]:
    """Return the alarms of the last run about workspaces that only the store has. Raise ValueError for a text that is not metrics."""
    found = (dict(labels) for (name, labels), _ in _samples(text) if name == "jitsu_backup_run_problem")
    words = What.UNSEEN.words
    return [
        Alarm(
            What.UNSEEN, one["reason"].removeprefix(words).removeprefix(": "), one["remedy"], one["workspace"]
        )
        for one in found
        if one["problem"] == What.UNSEEN.label
    ]


def metrics_text(
    before: str,
    figures: Iterable[Figures],
    exit_code: int,
    ended: datetime,
    alarms: Iterable[Alarm] = (),
    *,
    run: str | None = "run",
) -> str:
    """Return the new text of the file: how the run ended, and `figures` merged into the metrics that it had `before`.

    So the time of the last success outlives a failure, and other workspaces keep their metrics. `alarms` are those of
    the run. `run` is "run", or "verify_run" and "drill_run" for these commands, or None for a run that leaves the metrics of
    the last run, and of the workspaces that it did not back up, unchanged. Raise ValueError if `before` is not metrics.
    """
    given = list(figures)
    consoles = [one for one in given if isinstance(one, ConsoleFigures)]
    own = [one for one in given if not isinstance(one, ConsoleFigures)]
    try:
        samples = dict(_samples(before))
    except ValueError:
        if "jitsu_backup_" not in before:
            raise
        samples = {}  # ours, but damaged: start again
    had = {name for sample in samples for name in _pair(sample)}
    own = [one for one in own if one.workspace in had or not getattr(one, "unknown", False)]
    for console in consoles:
        samples = _with_console(samples, console)
    name = f"jitsu_backup_{run}"
    samples = {
        key: value
        for key, value in samples.items()
        # earlier versions wrote a console without a name, whose alarm would never end
        if key[0] != f"{name}_problem" and dict(key[1]).get("console") != ""
    }
    for one in own:
        if run is not None or all(alarm.what is not What.FAILED for alarm in one.alarms):
            samples = _with_figures(samples, one)
    if run is None:
        return _render(samples)
    samples |= {
        (f"{name}_timestamp_seconds", ()): ended.timestamp(), (f"{name}_exit_code", ()): float(exit_code),
    }  # fmt: skip
    reported = {alarm for one in own for alarm in one.alarms}
    samples |= {(f"{name}_problem", _problem(alarm)): 1.0 for alarm in alarms if alarm not in reported}
    return _render(samples)


def _with_console(samples: Mapping[Sample, float], one: ConsoleFigures) -> dict[Sample, float]:
    """Return samples with the metrics of a console in place of its earlier ones."""
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
    """Return samples with the metrics of a workspace merged into its earlier ones."""
    known = _labels_known(samples, one)
    owned = dict(known) if known is not None else _labels(one)
    if (
        one.workspace_id is not None
    ):  # both id and slug are known now: remove what was counted under one alone
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
    reason = ": ".join(filter(None, (alarm.what.words, alarm.why)))  # no other label says what is wrong
    labels = (alarm.what.label, alarm.workspace, reason, alarm.remedy)
    return tuple(sorted(zip(_PROBLEM, labels, strict=True)))


def _renamed(samples: Mapping[Sample, float], one: RunFigures | DrillFigures) -> dict[Sample, float]:
    """Move the metrics of a workspace from an earlier slug to its own, so that its last success survives a new slug."""
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
            continue  # nothing was read: earlier problems may remain
        why = {"reason": alarm.why, "remedy": alarm.remedy} if alarm else dict.fromkeys(_WHY, "")
        yield sample(what.label, alarm is not None, **why)
    if one.newest is not None:
        yield sample("newest_archive_timestamp_seconds", one.newest.timestamp(), store=one.store)
    for type_name, count in (one.counts or {}).items():
        yield sample("entities", count, type=type_name)


def _is_of(sample: Sample, store: str) -> bool:
    """Return whether a sample belongs to a store, or to none: backups may alternate between two stores."""
    return dict(sample[1]).get("store", store) == store


def _pair(sample: Sample) -> tuple[str, ...]:
    return tuple(value for name, value in sample[1] if name in _BY_WORKSPACE)


def _labels(one: RunFigures | DrillFigures) -> dict[str, str]:
    return {"workspace": one.workspace, "workspace_id": one.workspace_id or one.workspace}


def _labels_known(samples: Iterable[Sample], one: RunFigures | DrillFigures) -> dict[str, str] | None:
    """Return the labels that an earlier run gave a workspace of which this run knows only the id or only the slug."""
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
    gauges: dict[str, Gauge] = {}  # only those with samples: another file may have the others
    for (name, labels), value in sorted(samples.items()):
        words, more = _GAUGES[name]
        by = more if name in _OF_RUNS or name in _OF_CONSOLES else (*_BY_WORKSPACE, *more)
        if name not in gauges:
            gauges[name] = Gauge(name, words, by, registry=registry)
        (gauges[name].labels(**dict(labels)) if by else gauges[name]).set(value)
    return generate_latest(registry).decode()
