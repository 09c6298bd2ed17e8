"""The alerts of `docs/schedule/alerts.yml` fire on the figures that we write."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from jitsu_backup.operations.alarms import OF_A_WORKSPACE, Alarm, What
from jitsu_backup.reports.metrics import ConsoleFigures, DrillFigures, RunFigures, metrics_text
from tests.schedule.files import (
    FOLDER,
    crontab,
    document,
    settings_of,
    text,
    unit,
)
from tests.support import MOMENT

CONSOLE = ConsoleFigures(
    "https://lost.example", MOMENT, whole=True, seconds=3.0, back=2, not_back=0, meant=40, restored=40,
    lacks={"secrets": 1}, forecasts={"person": 300, "operator": 0}, oldest=86_400.0, senders=0, clashes=0,
)  # fmt: skip


def test_prometheus_takes_the_rules_and_we_write_the_figures_that_they_ask_for() -> None:
    one = RunFigures("acme", "w1", 0, 1.0, MOMENT, counts={"stream": 1}, size=1)
    alarm = Alarm(What.RUN_FAILED, "a reason")
    drill = DrillFigures("acme", "w1", MOMENT, whole=True, lacks={"secrets": 1})
    runs = {"run": one, "verify_run": drill, "drill_run": CONSOLE}
    figures = "".join(metrics_text("", [value], 0, MOMENT, [alarm], run=run) for run, value in runs.items())
    written = set(re.findall(r"^(\w+)[{ ]", figures, re.MULTILINE))
    (group,) = document("alerts.yml")["groups"]
    assert group.keys() == {"name", "rules"}
    for rule in group["rules"]:
        assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        promql_parser.parse(rule["expr"])
        asked = set(re.findall(r"\bjitsu_backup_\w+", rule["expr"]))
        assert asked, rule["alert"]
        assert asked <= written
    expressions = " ".join(rule["expr"] for rule in group["rules"])
    assert "exit_code != 0" in expressions


def test_a_console_without_a_name_that_an_earlier_version_wrote_is_removed() -> None:
    before = metrics_text("", [CONSOLE], 3, MOMENT, run="drill_run").replace(CONSOLE.console, "")
    assert 'console=""' in before
    assert 'console=""' not in metrics_text(before, [CONSOLE], 0, LATER, run="drill_run")


def firing(
    figures: str | dict[str, str], now: datetime, before: dict[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """Return the alerts that fire on figures, each with its annotations: as Prometheus, for the few forms that our rules have.

    Figures are of one machine, or by the machine that they are scraped from; `before` are those of the day before.
    """
    machines = {"one:9100": figures} if isinstance(figures, str) else figures
    samples, past = scraped(machines), scraped({**machines, **(before or {})})
    found: dict[str, dict[str, str]] = {}
    for rule in document("alerts.yml")["groups"][0]["rules"]:
        for labels, value in selected(promql_parser.parse(rule["expr"]), samples, past, now):
            filled = {
                name: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], words)
                for name, words in rule["annotations"].items()
            }
            found[rule["alert"]] = {
                name: words.replace("{{ $value }}", f"{value:g}") for name, words in filled.items()
            }
    return found


Vector = list[tuple[dict[str, str], float]]


def scraped(machines: dict[str, str]) -> list[tuple[str, dict[str, str], float]]:
    """Return name, labels and value of every sample, with the labels that Prometheus adds of where it is from."""
    return [
        (sample.name, {**sample.labels, "instance": machine, "job": "node"}, sample.value)
        for machine, figures in machines.items()
        for family in text_string_to_metric_families(figures)
        for sample in family.samples
    ]


def selected(expression: Any, samples: list[Any], past: list[Any], now: datetime) -> Vector:
    """Evaluate a selector, `time() - selector`, a comparison, `absent`, `count_over_time`, `or`, `unless`, or a product."""

    def of(part: Any) -> Vector:
        return selected(part, samples, past, now)

    if isinstance(expression, promql_parser.ParenExpr):
        return of(expression.expr)
    if isinstance(expression, promql_parser.VectorSelector):
        return [(labels, value) for name, labels, value in samples if name == expression.name]
    if isinstance(expression, promql_parser.Call) and expression.func.name == "count_over_time":
        return selected(expression.args[0].vector_selector, past, past, now)
    if isinstance(expression, promql_parser.Call):
        assert expression.func.name == "absent"
        return [] if of(expression.args[0]) else [({}, 1.0)]
    assert isinstance(expression, promql_parser.BinaryExpr), type(expression)
    operator = str(expression.op)
    if operator == "unless":
        without = [labels for labels, _ in of(expression.rhs)]
        return [one for one in of(expression.lhs) if one[0] not in without]
    if operator == "or":
        left = of(expression.lhs)
        known = [labels for labels, _ in left]
        return [*left, *(one for one in of(expression.rhs) if one[0] not in known)]
    if operator == "-":
        return [(labels, now.timestamp() - value) for labels, value in of(expression.rhs)]
    left = of(expression.lhs)
    if operator == "*":
        return product(left, of(expression.rhs), expression.modifier.matching.labels)
    limit = number(expression.rhs)
    holds = {">": lambda v: v > limit, "==": lambda v: v == limit, "!=": lambda v: v != limit}[operator]
    return [one for one in left if holds(one[1])]


def product(left: Vector, right: Vector, on: Sequence[str]) -> Vector:
    """Multiply each of `left` with the one of `right` that has the same labels `on`; as Prometheus, refuse several."""

    def group(labels: dict[str, str]) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in on)

    factors: dict[tuple[str, ...], float] = {}
    for labels, value in right:
        assert group(labels) not in factors, f"duplicate series for the match group {group(labels)}"
        factors[group(labels)] = value
    return [(labels, value * factors[group(labels)]) for labels, value in left if group(labels) in factors]


def number(expression: Any) -> float:
    if isinstance(expression, promql_parser.NumberLiteral):
        return float(expression.val)
    assert str(expression.op) == "*"
    return number(expression.lhs) * number(expression.rhs)


LATER = MOMENT + timedelta(minutes=5)


def figures_of(
    *alarms: Alarm, code: int = 3, ended: datetime = MOMENT, counts: Any = None, before: str = ""
) -> str:
    one = RunFigures(
        "acme", "w1", code, 1.0, ended, counts={"stream": 1} if counts is None else counts, alarms=alarms
    )
    return metrics_text(before, [one], code, ended, alarms)


WELL = figures_of(code=0)


@pytest.mark.parametrize("what", OF_A_WORKSPACE, ids=lambda what: what.label)
def test_each_thing_that_is_wrong_sets_off_its_own_alert_and_no_other(what: What) -> None:
    alarm = Alarm(what, "the reason", "the remedy", "acme")
    fired = firing(figures_of(alarm, before=WELL), LATER)
    assert list(fired) == [f"JitsuBackup{what.label.title()}"]
    (told,) = fired.values()
    assert "acme" in told["summary"]
    assert told["summary"].endswith(": the reason")
    assert told["description"] == "the remedy"


def test_a_good_run_sets_off_none_and_ends_what_was_set_off() -> None:
    assert firing(WELL, LATER) == {}
    for what in OF_A_WORKSPACE:
        wrong = figures_of(Alarm(what, "the reason", "", "acme"), before=WELL)
        assert firing(figures_of(code=0, before=wrong), LATER) == {}


def test_stale_is_what_was_not_read_for_long_whole_or_not() -> None:
    long = MOMENT + timedelta(hours=4)
    assert list(firing(WELL, long)) == ["JitsuBackupStale"]
    shrunk = figures_of(Alarm(What.SHRUNK, "r", "", "acme"), before=WELL, ended=long)
    assert list(firing(shrunk, long + timedelta(hours=1))) == ["JitsuBackupShrunk"]
    failed = RunFigures("acme", "w1", 1, 1.0, long, alarms=(Alarm(What.FAILED, "r", "", "acme"),))
    assert sorted(firing(metrics_text(WELL, [failed], 1, long), long)) == [
        "JitsuBackupFailed",
        "JitsuBackupStale",
    ]


def test_what_was_wrong_is_reported_on_while_nothing_can_be_read() -> None:
    shrunk = figures_of(Alarm(What.SHRUNK, "r", "", "acme"), before=WELL)
    failed = RunFigures("acme", "w1", 1, 1.0, MOMENT, alarms=(Alarm(What.FAILED, "r", "", "acme"),))
    fired = firing(metrics_text(shrunk, [failed], 1, MOMENT), LATER)
    assert sorted(fired) == ["JitsuBackupFailed", "JitsuBackupShrunk"]


def test_what_belongs_to_no_workspace_of_the_run_is_reported_with_its_exit_code() -> None:
    alarm = Alarm(What.RUN_FAILED, "--deadline: 'soon' is no duration")
    (told,) = firing(metrics_text(WELL, [], 2, MOMENT, [alarm]), LATER).values()
    assert (
        told["summary"]
        == "The last run of jitsu-backup ended with exit code 2:  --deadline: 'soon' is no duration"
    )
    assert list(firing("", LATER)) == ["JitsuBackupFiguresMissing"]


def test_a_fire_drill_has_alerts_of_its_own_and_leaves_those_of_backups_alone() -> None:
    well = DrillFigures("acme", "w1", MOMENT, whole=True, lacks={"secrets": 5})
    assert firing(metrics_text(WELL, [well], 0, MOMENT, run="verify_run"), LATER) == {}
    alarm = Alarm(What.NOT_RESTORABLE, "the reason", "the remedy", "acme")
    lost = DrillFigures("acme", "w1", MOMENT, whole=False, lacks={"secrets": 5})
    text = metrics_text(WELL, [lost], 3, MOMENT, [alarm], run="verify_run")
    assert list(firing(text, LATER)) == ["JitsuBackupNotRestorable", "JitsuBackupVerifyFailed"]
    assert list(firing(figures_of(code=0, before=text), LATER)) == [
        "JitsuBackupNotRestorable",
        "JitsuBackupVerifyFailed",
    ]
    assert firing(metrics_text(text, [well], 0, MOMENT, run="verify_run"), LATER) == {}


def test_alerts_tell_the_machines_apart_that_back_up() -> None:
    alarm = Alarm(What.RUN_FAILED, "the reason", "the remedy")
    wrong = metrics_text(WELL, [], 2, MOMENT, [alarm])
    assert list(firing({"one:9100": WELL, "two:9100": wrong, "three:9100": WELL}, LATER)) == [
        "JitsuBackupRunFailed"
    ]
    well = DrillFigures("acme", "w1", MOMENT, whole=True, lacks={})
    drilled = metrics_text(WELL, [well], 0, MOMENT, run="verify_run")
    failed = metrics_text(drilled, [], 2, MOMENT, [alarm], run="verify_run")
    assert list(firing({"one:9100": drilled, "two:9100": failed}, LATER)) == ["JitsuBackupVerifyFailed"]
    assert firing({"one:9100": WELL, "two:9100": WELL}, LATER) == {}


def test_figures_that_one_of_several_machines_has_no_longer_are_missed() -> None:
    assert firing({"one:9100": WELL}, LATER, {"two:9100": WELL}).keys() == {"JitsuBackupFiguresMissing"}
    assert firing({"one:9100": WELL}, LATER, {"one:9100": WELL}) == {}


def test_a_drill_that_does_not_run_any_more_is_reported() -> None:
    well = DrillFigures("acme", "w1", MOMENT, whole=True, lacks={})
    long = MOMENT + timedelta(hours=51)
    text = metrics_text(figures_of(code=0, ended=long), [well], 0, long, run="verify_run")
    assert firing(text, MOMENT + timedelta(hours=49)) == {}
    old = metrics_text(figures_of(code=0, ended=long), [well], 0, MOMENT, run="verify_run")
    assert list(firing(old, long)) == ["JitsuBackupNotRehearsed"]


def test_a_drill_of_a_console_has_alerts_of_its_own() -> None:
    well = metrics_text(WELL, [CONSOLE], 0, MOMENT, run="drill_run")
    assert firing(well, LATER) == {}
    alarm = Alarm(What.NOT_RESTORABLE, "the reason", "the remedy", "acme")
    wrong = replace(CONSOLE, whole=False, back=1, not_back=1)
    failed = metrics_text(well, [wrong], 3, MOMENT, [alarm], run="drill_run")
    assert list(firing(failed, LATER)) == ["JitsuBackupDrillFailed"]
    assert firing(metrics_text(failed, [CONSOLE], 0, MOMENT, run="drill_run"), LATER) == {}
    long = MOMENT + timedelta(hours=51)
    assert list(firing(metrics_text(well, [], 0, long, run="drill_run"), long)) == [
        "JitsuBackupStale",
        "JitsuBackupNotDrilled",
    ]


def test_figures_of_a_console_take_the_place_of_its_own_and_leave_those_of_another() -> None:
    other = replace(CONSOLE, console="https://second.example", lacks={"grants": 4})
    both = metrics_text(metrics_text("", [CONSOLE], 0, MOMENT), [other], 0, MOMENT)
    again = metrics_text(both, [replace(CONSOLE, lacks={}, oldest=None)], 0, MOMENT)
    assert 'lacks{console="https://second.example",what="grants"} 4.0' in again
    assert 'console_drill_lacks{console="https://lost.example"' not in again
    assert 'rpo_seconds{console="https://lost.example"' not in again


def test_the_figures_are_where_the_settings_say_though_these_cannot_be_read() -> None:
    named = str(settings_of(FOLDER, {}).metrics)
    given, _ = crontab(text("crontab"))
    assert given["JITSU_BACKUP_METRICS"] == named
    assert unit("jitsu-backup.service")["Service"]["Environment"] == f"JITSU_BACKUP_METRICS={named}"


def test_no_two_alerts_rest_on_one_metric_and_every_metric_of_ours_that_can_be_wrong_has_one() -> None:
    (group,) = document("alerts.yml")["groups"]
    first = [re.findall(r"\bjitsu_backup_\w+", rule["expr"])[0] for rule in group["rules"]]
    assert len(set(first)) == len(first)
    assert {f"jitsu_backup_{what.label}" for what in OF_A_WORKSPACE} <= set(first)
    for rule in group["rules"]:
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
