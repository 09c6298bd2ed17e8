"""The files of docs/schedule/ are what their readers take, and what they run is there and runs."""

import configparser
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import promql_parser
import pyrage
import pytest
import yaml
from cronsim import CronSim
from dockerfile_parse import DockerfileParser
from prometheus_client.parser import text_string_to_metric_families

from jitsu_backup.archive.retention import policy_of
from jitsu_backup.cli import cli as program
from jitsu_backup.operations.alarms import OF_A_WORKSPACE, Alarm, What
from jitsu_backup.reports.metrics import DrillFigures, RunFigures, metrics_text
from jitsu_backup.sandbox import running
from jitsu_backup.settings import Overrides, Settings, load
from jitsu_backup.settings.schema import problems
from tests.s3_server import BUCKET, S3Server, s3_server
from tests.support import MOMENT, OWNER, example_sandbox

DOCUMENTS = Path(__file__).parents[1] / "docs"
FOLDER = DOCUMENTS / "schedule"
FILES = sorted(path.name for path in FOLDER.iterdir())
PAGE = (DOCUMENTS / "schedule.md").read_text(encoding="utf-8")

PROGRAM = "/opt/jitsu-backup/bin/jitsu-backup"
HOURLY, NIGHTLY = timedelta(hours=1), timedelta(days=1)
MANIFESTS = ["cronjob.yaml", "indexed-job.yaml"]


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def document(name: str) -> Any:
    return yaml.safe_load(text(name))


# what each file runs


def crontab(content: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Give a crontab's variables and its jobs: when, and the line for the shell."""
    lines = [line for line in content.splitlines() if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    jobs = [line.split(maxsplit=5) for line in lines if not re.match(r"[A-Z_]+=", line)]
    return given, [(" ".join(fields), line) for *fields, line in jobs]


def after_program(line: str) -> list[str]:
    """Give the arguments in a shell's line, up to where it sends the output elsewhere."""
    words = shlex.split(line)
    words = words[words.index(PROGRAM) + 1 :] if PROGRAM in words else words[1:]
    return words[: words.index("2>&1")] if "2>&1" in words else words


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    parser.optionxform = str
    parser.read_string(text(name))
    return parser


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = document(name)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def container(name: str) -> dict[str, Any]:
    (found,) = pod(name)["containers"]
    return dict(found)


def workflow() -> dict[Any, Any]:
    return dict(document("github-actions.yml"))


def steps() -> list[dict[str, Any]]:
    return list(workflow()["jobs"]["backup"]["steps"])


def backup_step() -> dict[str, Any]:
    (step,) = [step for step in steps() if step.get("run", "").startswith("jitsu-backup ")]
    return step


JOBS = [line for _, line in crontab(text("crontab"))[1] if PROGRAM in line]
(ROTATION,) = [line for _, line in crontab(text("crontab"))[1] if PROGRAM not in line]
BACKUPS = {
    "crontab": after_program(JOBS[0]),
    "jitsu-backup.service": after_program(unit("jitsu-backup.service")["Service"]["ExecStart"]),
    "cronjob.yaml": container("cronjob.yaml")["args"],
    "indexed-job.yaml": container("indexed-job.yaml")["args"],
    "github-actions.yml": after_program(backup_step()["run"]),
}
SHOWN = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", "").splitlines()
]
SHOWN_OURS = [line for line in SHOWN if line.startswith("jitsu-backup ")]
(SHOWN_CONTAINER,) = [line for line in SHOWN if line.startswith("docker run ")]
ARGUMENTS = [
    *BACKUPS.items(),
    *((f"crontab-{number}", after_program(line)) for number, line in enumerate(JOBS[1:], 2)),
    *((f"page-{number}", after_program(line)) for number, line in enumerate(SHOWN_OURS, 1)),
    ("page-docker", shlex.split(SHOWN_CONTAINER.rpartition(" jitsu-backup ")[2])),
]


def parsed(arguments: Sequence[str]) -> click.Context:
    """Take arguments apart as the program would, without running anything."""
    context = program.make_context("jitsu-backup", list(arguments))
    command = program.get_command(context, arguments[0])
    if command is None:
        raise click.UsageError(f"no command {arguments[0]!r}")
    return command.make_context(arguments[0], list(arguments[1:]), parent=context)


@pytest.mark.parametrize("arguments", [pytest.param(words, id=name) for name, words in ARGUMENTS])
def test_a_command_line_is_one_that_the_program_takes(arguments: list[str]) -> None:
    assert parsed(arguments).info_name in ("backup", "verify", "check")


@pytest.mark.parametrize(
    "wrong", [["back-up"], ["backup", "--all", "--if-change-d"], ["backup", "--deadline=soon"]]
)
def test_a_command_line_that_the_program_refuses_would_be_noticed(wrong: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parsed(wrong)


@pytest.mark.parametrize("name", BACKUPS)
def test_every_schedule_backs_up_all_that_changed_and_prunes_and_logs_one_line(name: str) -> None:
    given = parsed(BACKUPS[name]).params
    assert given["everything"] is given["if_changed"] is given["prune"] is True
    assert given["log_format"] == "json"


def test_a_backup_ends_by_itself_before_its_scheduler_kills_it_and_before_the_next_begins() -> None:
    limits = {
        "crontab": HOURLY.total_seconds(),
        "jitsu-backup.service": 60 * float(unit("jitsu-backup.service")["Service"]["TimeoutStartSec"].removesuffix("min")),
        **{name: document(name)["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] for name in MANIFESTS},
        "github-actions.yml": 60 * workflow()["jobs"]["backup"]["timeout-minutes"],
    }  # fmt: skip
    assert limits.keys() == BACKUPS.keys()
    for name, limit in limits.items():
        given = parsed(BACKUPS[name]).params
        assert given["late_retry_for"] < given["deadline"], name
        assert given["deadline"] + 60 < limit <= HOURLY.total_seconds(), name


# when it runs


def gaps(expression: str) -> set[timedelta]:
    moments = CronSim(expression, datetime(2026, 11, 23, tzinfo=UTC))
    return {after - before for before, after in pairwise(next(moments) for _ in range(50))}


def test_cron_backs_up_every_hour_and_checks_every_night() -> None:
    times = [when for when, _ in crontab(text("crontab"))[1]]
    assert [gaps(when) for when in times] == [{HOURLY}, {NIGHTLY}, {NIGHTLY}, {7 * NIGHTLY}]
    checks = [parsed(after_program(line)) for line in JOBS[1:]]
    assert [(check.info_name, check.params["everything"], check.params["rehearse"]) for check in checks] == [
        ("verify", True, False), ("verify", False, True),
    ]  # fmt: skip
    nights = {next(CronSim(when, MOMENT)).hour for when in times[1:3]}
    assert len(nights) == 2, "one check must have ended when the other begins"


def test_kubernetes_and_github_back_up_every_hour() -> None:
    # YAML 1.1 reads the word `on` as true
    triggers = [
        *workflow()[True]["schedule"],
        *({"cron": document(name)["spec"]["schedule"]} for name in MANIFESTS),
    ]
    assert [gaps(trigger["cron"]) for trigger in triggers] == [{HOURLY}] * 3


def test_no_two_backups_overlap() -> None:
    assert all(document(name)["spec"]["concurrencyPolicy"] == "Forbid" for name in MANIFESTS)
    assert workflow()["concurrency"] == {"group": "jitsu-backup", "cancel-in-progress": False}


def test_no_monitors_check_is_told_by_two_jobs() -> None:
    checks = [parsed(words).params["ping"] for name, words in ARGUMENTS if name.startswith("crontab")]
    assert len(set(checks)) == len(checks) == 3
    assert parsed(BACKUPS["indexed-job.yaml"]).params["ping"].endswith("-$(JOB_COMPLETION_INDEX)")


# the settings and the secrets that all of them share


def settings_of(folder: Path, environment: dict[str, str]) -> Settings:
    return load(folder / "jitsu-backup.toml", environment, None, Path("/"), Overrides())


def variables(content: str) -> dict[str, str]:
    """Read a file of variables as kubectl and Docker do, which know no quotes."""
    lines = [line for line in content.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def named_variables() -> set[str]:
    """Give the variables that the settings name."""
    values = tomllib.loads(text("jitsu-backup.toml")).values()
    return {value["env"] for value in values if isinstance(value, dict) and "env" in value}


def test_the_settings_are_understood_and_need_nothing_but_the_variables_beside_them() -> None:
    assert list(problems(tomllib.loads(text("jitsu-backup.toml")))) == []
    settings = settings_of(FOLDER, variables(text("environment")))
    assert settings.warnings == ()
    assert settings.ping() is not None
    assert settings.place(None, workspace_needed=False).host == "https://jitsu.example.com"
    assert {settings.place(f"@{name}").workspace for name in settings.places_named()} == {
        "acme-production", "acme-staging",
    }  # fmt: skip
    assert not policy_of(settings.retention).empty
    assert settings.store.startswith("s3://")
    assert settings.metrics is not None


def test_the_settings_hold_no_secret() -> None:
    secrets = set(variables(text("environment")).values()) - {"eu-central-1"}
    for name in set(FILES) - {"environment"}:
        assert not [secret for secret in secrets if secret in text(name)], name


def test_the_variables_mean_the_same_to_a_shell_as_to_those_that_know_no_quotes() -> None:
    for name, value in variables(text("environment")).items():
        assert re.fullmatch(r"[A-Z_]+", name)
        assert shlex.quote(value) == value


def test_every_variable_that_the_settings_name_reaches_every_schedule() -> None:
    assert named_variables() == {"JITSU_APIKEY", "JITSU_BACKUP_PING"}
    needed = named_variables() | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"}
    assert needed <= variables(text("environment")).keys()
    assert all(". /etc/jitsu-backup/environment" in line for line in JOBS)
    assert unit("jitsu-backup.service")["Service"]["EnvironmentFile"] == "/etc/jitsu-backup/environment"
    assert "--env-file docs/schedule/environment" in SHOWN_CONTAINER
    for name in MANIFESTS:
        assert container(name)["envFrom"] == [{"secretRef": {"name": "jitsu-backup"}}]
    assert needed <= backup_step()["env"].keys()


# each file, by somebody else's parser or linter


def test_nothing_is_here_that_no_test_reads() -> None:
    read = {
        "Dockerfile", "alerts.yml", "crontab", "environment", "github-actions.yml", "jitsu-backup.service",
        "jitsu-backup.timer", "jitsu-backup.toml", *MANIFESTS,
    }  # fmt: skip
    assert set(FILES) == read
    assert [name for name in FILES if f"](schedule/{name})" not in PAGE] == []


def test_no_host_is_named_that_may_be_somebodys() -> None:
    for content in (PAGE, *map(text, FILES)):
        hosts = re.findall(r"\b(?:[a-z0-9-]+\.)+(?:com|org|io|net|dev)\b", content)
        assert {host for host in hosts if not host.endswith("example.com")} <= {"healthchecks.io"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name in ("jitsu-backup.service", "jitsu-backup.timer"):
        # the program has to be there for it, and here it is somewhere else
        (tmp_path / name).write_text(text(name).replace(PROGRAM, sys.executable), encoding="utf-8")
    units = [str(tmp_path / f"jitsu-backup.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    # the machine's other units are read as well, and may have faults of their own
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "jitsu-backup" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_service_can_write_nowhere_but_where_the_settings_say() -> None:
    service = unit("jitsu-backup.service")["Service"]
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    settings = settings_of(FOLDER, {})
    folders = [f"/var/lib/{name}" for name in service["StateDirectory"].split()]
    assert str(Path(str(settings.metrics)).parent) in folders


def test_every_exit_code_but_0_is_a_failure_to_systemd() -> None:
    service = unit("jitsu-backup.service")["Service"]
    assert service["Type"] == "oneshot"
    assert not [name for name in service if name in ("SuccessExitStatus", "Restart")]
    assert not service["ExecStart"].startswith("-")


def test_the_timer_makes_up_for_what_was_missed() -> None:
    timer = unit("jitsu-backup.timer")
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Timer"]["OnCalendar"] == "hourly"
    assert timer["Timer"]["RandomizedDelaySec"] == "10min"
    assert timer["Install"]["WantedBy"] == "timers.target"


def instructions() -> list[tuple[str, str]]:
    parser = DockerfileParser(fileobj=io.BytesIO(text("Dockerfile").encode()))
    return [(line["instruction"], line["value"]) for line in parser.structure]


def entrypoint() -> list[str]:
    return list(json.loads(dict(instructions())["ENTRYPOINT"]))


def test_the_image_ends_as_a_user_with_a_number_that_is_not_root() -> None:
    lines = instructions()
    last_stage = lines[max(at for at, (name, _) in enumerate(lines) if name == "FROM") :]
    (user,) = [value for name, value in last_stage if name == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert all(
        name in ("USER", "ENTRYPOINT") for name, _ in last_stage[[n for n, _ in last_stage].index("USER") :]
    )
    assert entrypoint() == [PROGRAM]
    for name in MANIFESTS:
        context = pod(name)["securityContext"]
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == user


def test_the_image_is_built_from_files_that_are_there_and_leaves_the_builder_behind() -> None:
    lines = instructions()
    assert [value for name, value in lines if name == "FROM"] == [
        "python:3.13-slim AS build",
        "python:3.13-slim",
    ]
    assert ("ENV", "PYTHONDONTWRITEBYTECODE=1") in lines
    sources = [
        source
        for name, value in lines
        if name == "COPY" and "--from" not in value
        for source in value.split()[:-1]
    ]
    assert {"pyproject.toml", "jitsu_backup"} < set(sources)
    for source in sources:
        assert (DOCUMENTS.parent / source).exists(), source
    project = tomllib.loads((DOCUMENTS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {project["readme"], *project["license-files"]} <= set(sources)


@pytest.mark.skipif(
    not (Path(sys.executable).parent / "hadolint").exists(), reason="hadolint is not installed"
)
def test_hadolint_has_nothing_to_say_of_the_image() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--no-color", FOLDER / "Dockerfile"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_takes_the_manifest_and_knows_every_field_of_it(name: str) -> None:
    kubernetes_validate.validate(document(name), kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_pod_meets_the_restricted_standard_and_writes_nowhere_else(name: str) -> None:
    context, security = pod(name)["securityContext"], container(name)["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert container(name)["resources"].keys() == {"requests", "limits"}
    assert pod(name)["volumes"] == [
        {"name": "settings", "configMap": {"name": "jitsu-backup"}}, {"name": "metrics", "emptyDir": {}},
    ]  # fmt: skip
    mounts = {mount["name"]: mount["mountPath"] for mount in container(name)["volumeMounts"]}
    assert mounts["settings"] == "/etc/jitsu-backup"
    assert mounts["metrics"] == str(Path(str(settings_of(FOLDER, {}).metrics)).parent)


def test_no_second_try_hides_what_a_first_one_told_and_no_shard_ends_the_others() -> None:
    assert document("cronjob.yaml")["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0
    sharded = document("indexed-job.yaml")["spec"]["jobTemplate"]["spec"]
    assert sharded["completionMode"] == "Indexed"
    assert sharded["backoffLimitPerIndex"] == 0
    assert "backoffLimit" not in sharded
    assert all(pod(name)["restartPolicy"] == "Never" for name in MANIFESTS)


def test_there_are_as_many_completions_as_shards() -> None:
    shard = parsed(BACKUPS["indexed-job.yaml"]).params["shard"]
    sharded = document("indexed-job.yaml")["spec"]["jobTemplate"]["spec"]
    assert shard == f"$(JOB_COMPLETION_INDEX)/{sharded['completions']}"


def test_github_takes_the_workflow() -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows",
            FOLDER / "github-actions.yml",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_may_only_read_and_shows_its_secrets_to_one_step() -> None:
    assert workflow()["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow()["jobs"]["backup"]
    assert [step["name"] for step in steps() if "secrets." in json.dumps(step)] == ["Back up"]
    for step in steps():
        assert "${{" not in step.get("run", ""), "what is put into a script is run as one"
        assert step.get("with", {}).get("persist-credentials") in (None, False)


def test_prometheus_takes_the_rules_and_we_write_the_figures_that_they_ask_for() -> None:
    one = RunFigures("acme", "w1", 0, 1.0, MOMENT, counts={"stream": 1}, size=1)
    alarm = Alarm(What.RUN_FAILED, "a reason")
    drill = DrillFigures("acme", "w1", MOMENT, whole=True, lacks={"secrets": 1})
    figures = metrics_text("", [one], 0, MOMENT, [alarm]) + metrics_text(
        "", [drill], 0, MOMENT, [alarm], run="verify_run"
    )
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


def firing(
    figures: str | dict[str, str], now: datetime, before: dict[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """Give the alerts that fire on figures, each with its annotations: as Prometheus, for the few forms that our rules have.

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
    """Give name, labels and value of every sample, with the labels that Prometheus adds of where it is from."""
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


def test_what_was_wrong_is_told_on_while_nothing_can_be_read() -> None:
    shrunk = figures_of(Alarm(What.SHRUNK, "r", "", "acme"), before=WELL)
    failed = RunFigures("acme", "w1", 1, 1.0, MOMENT, alarms=(Alarm(What.FAILED, "r", "", "acme"),))
    fired = firing(metrics_text(shrunk, [failed], 1, MOMENT), LATER)
    assert sorted(fired) == ["JitsuBackupFailed", "JitsuBackupShrunk"]


def test_what_belongs_to_no_workspace_of_the_run_is_told_with_its_exit_code() -> None:
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


def test_a_drill_that_does_not_run_any_more_is_told() -> None:
    well = DrillFigures("acme", "w1", MOMENT, whole=True, lacks={})
    long = MOMENT + timedelta(hours=51)
    text = metrics_text(figures_of(code=0, ended=long), [well], 0, long, run="verify_run")
    assert firing(text, MOMENT + timedelta(hours=49)) == {}
    old = metrics_text(figures_of(code=0, ended=long), [well], 0, MOMENT, run="verify_run")
    assert list(firing(old, long)) == ["JitsuBackupNotRehearsed"]


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
        assert rule["annotations"].keys() == {"summary", "description"}


# all of it runs


class _Check(BaseHTTPRequestHandler):
    server: "_Monitor"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Monitor(ThreadingHTTPServer):
    """A monitor that notes what it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Check)
        self.told: list[str] = []


@contextmanager
def monitor() -> Iterator[_Monitor]:
    server = _Monitor()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)


@dataclass
class Stage:
    """A console, a bucket and a monitor, and what stands for them and for the places in the files."""

    folder: Path
    stands_for: dict[str, str]
    monitor: _Monitor

    def here(self, content: str) -> str:
        for name, stand_in in self.stands_for.items():
            content = content.replace(name, stand_in)
        return content

    @property
    def environment(self) -> dict[str, str]:
        return variables(self.here(text("environment")))

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "lib" / "log.jsonl").read_text().splitlines()]

    def run(
        self, command: Sequence[str], environment: dict[str, str], code: int = 0, folder: str | Path = "/"
    ) -> "subprocess.CompletedProcess[str]":
        """Run as a scheduler does: no home, no terminal, nothing in the environment but what is given."""
        self.monitor.told.clear()
        done = subprocess.run(
            list(command), env={"PATH": "/usr/bin:/bin", **environment}, cwd=folder, stdin=subprocess.DEVNULL,
            start_new_session=True, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def contained(
        self, name: str, before: Sequence[str] = (), **more: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a manifest's container, its $(NAME) filled in as Kubernetes does."""
        given = {**self.environment, **more}
        arguments = [
            re.sub(r"\$\((\w+)\)", lambda found: given[found[1]], word) for word in container(name)["args"]
        ]
        return self.run([*before, *map(self.here, [*entrypoint(), *arguments])], given)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("schedule")
    for name in ("etc", "lib/metrics"):
        (folder / name).mkdir(parents=True)
    identity = pyrage.x25519.Identity.generate()
    (folder / "etc" / "identity.txt").write_text(f"{identity}\n")
    server: S3Server
    with s3_server() as server, monitor() as watching, running(example_sandbox()) as url:
        made = Stage(
            folder,
            {
                "https://jitsu.example.com": url,
                "s3://acme-backups": f"s3://{BUCKET}",
                "# AWS_ENDPOINT_URL=https://minio.example.com:9000": f"AWS_ENDPOINT_URL={server.url}",
                "https://ping.example.com": f"http://127.0.0.1:{watching.server_port}",
                "keyId:keySecret": OWNER,
                "age1-your-own-public-key": str(identity.to_public()),
                "/opt/jitsu-backup/bin": str(Path(sys.executable).parent),
                "/etc/jitsu-backup": str(folder / "etc"),
                "/var/lib/jitsu-backup": str(folder / "lib"),
            },
            watching,
        )
        for name in ("environment", "jitsu-backup.toml"):
            (folder / "etc" / name).write_text(made.here(text(name)))
        try_the_settings(made)  # which begins the store, as the page says
        yield made


def try_the_settings(stage: Stage) -> None:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    stage.run(
        ["bash", "-e", "-c", "\n".join(SHOWN_OURS)],
        {**stage.environment, "PATH": path},
        folder=stage.folder / "etc",
    )


def cron_jobs(stage: Stage) -> tuple[dict[str, str], list[str]]:
    """Give the environment of a crontab's jobs, and those that run the program, with what stands for the places."""
    given, jobs = crontab(stage.here(text("crontab")))
    return given, [line for _, line in jobs if stage.here(PROGRAM) in line]


def test_the_lines_of_cron_run_as_they_stand_and_nothing_is_mailed(stage: Stage) -> None:
    given, jobs = cron_jobs(stage)
    told = []
    for line in jobs:
        done = stage.run([given["SHELL"], "-c", line], given)
        assert (done.stdout, done.stderr) == ("", "")
        told.append(list(stage.monitor.told))
    check = "/secret/jitsu-backup"
    names = (check, f"{check}-verify", f"{check}-rehearse")
    assert told == [[f"{name}/start", name] for name in names]
    backup, verify, rehearsal = stage.log[-3:]
    assert {line["workspace"] for line in backup["workspaces"]} == {"acme-staging", "acme-production"}
    assert backup["store"] == f"s3://{BUCKET}/jitsu"
    assert verify["archives"] == rehearsal["archives"] == 2
    figures = (stage.folder / "lib" / "metrics" / "jitsu_backup.prom").read_text()
    assert figures.count("jitsu_backup_exit_code{") == 2


def test_the_line_of_cron_for_a_backup_needs_no_private_key(stage: Stage) -> None:
    identity = stage.folder / "etc" / "identity.txt"
    away = identity.rename(stage.folder / "away.txt")
    given, jobs = cron_jobs(stage)
    try:
        for _ in range(2):  # the second one compares with what it cannot read
            stage.run([given["SHELL"], "-c", jobs[0]], given)
    finally:
        away.rename(identity)
    assert stage.log[-1]["message"] == "2 workspaces: 2 unchanged"


@pytest.mark.parametrize("number", range(3))
def test_a_failure_is_mailed_and_reaches_the_log_and_the_monitor(stage: Stage, number: int) -> None:
    given, jobs = cron_jobs(stage)
    host = stage.stands_for["https://jitsu.example.com"]
    wrong = (
        ("backup --all", f"--host {host} --apikey key1:wrong backup --all")
        if number == 0
        else ("verify --", "verify --no-such --")
    )
    done = stage.run([given["SHELL"], "-c", jobs[number].replace(*wrong)], given)
    assert stage.monitor.told[-1].endswith("/fail")
    mailed = json.loads(done.stdout)
    assert mailed == stage.log[-1]
    assert (mailed["exit_code"], mailed["level"]) == ((6, "error") if number == 0 else (2, "error"))
    assert mailed["alarms"][0]["why"]


def test_what_no_job_could_say_is_mailed_too(stage: Stage) -> None:
    given, jobs = cron_jobs(stage)
    environment = stage.folder / "etc" / "environment"
    missing = jobs[0].replace(str(environment), f"{environment}-gone")
    assert f"{environment}-gone" in stage.run([given["SHELL"], "-c", missing], given, code=2).stderr
    unwritable = {**given, "LOG": str(stage.folder / "gone" / "log.jsonl")}
    assert "No such file" in stage.run([given["SHELL"], "-c", jobs[0]], unwritable).stderr


def test_cron_begins_a_new_log_every_week_and_keeps_old_ones_for_a_while(stage: Stage) -> None:
    given, _ = crontab(stage.here(text("crontab")))
    log = stage.folder / "lib" / "log.jsonl"
    before = log.read_text() if log.exists() else ""
    line = stage.here(ROTATION).replace("\\%", "%")  # as cron reads it
    ancient = log.with_name("log.jsonl.2026-01-01")
    try:
        for _ in range(2):  # where there is nothing to put away nothing happens
            log.write_text(before or "one\n")
            ancient.touch()
            os.utime(ancient, (0, 0))
            done = stage.run([given["SHELL"], "-c", line], given)
            assert (done.stdout, done.stderr) == ("", "")
            (kept,) = log.parent.glob("log.jsonl.*")
            assert (log.exists(), kept.read_text()) == (False, before or "one\n")
            stage.run([given["SHELL"], "-c", line], given)
            kept.unlink()
    finally:
        log.write_text(before)


def test_the_service_runs_as_it_stands(stage: Stage) -> None:
    service = unit("jitsu-backup.service")["Service"]
    done = stage.run(shlex.split(stage.here(service["ExecStart"])), stage.environment)
    assert json.loads(done.stderr)["exit_code"] == 0


def test_a_container_runs_as_it_stands(stage: Stage) -> None:
    done = stage.contained("cronjob.yaml")
    assert {line["workspace"] for line in json.loads(done.stderr)["workspaces"]} == {
        "acme-staging",
        "acme-production",
    }
    assert stage.monitor.told == ["/secret/jitsu-backup/start", "/secret/jitsu-backup"]


def test_the_shards_together_back_up_every_workspace_once(stage: Stage) -> None:
    found: list[str] = []
    for index in map(str, range(4)):
        done = stage.contained("indexed-job.yaml", JOB_COMPLETION_INDEX=index)
        found += (line["workspace"] for line in json.loads(done.stderr)["workspaces"])
        assert stage.monitor.told == [f"/secret/jitsu-backup-{index}/start", f"/secret/jitsu-backup-{index}"]
    assert sorted(found) == ["acme-production", "acme-staging"]


def test_a_container_runs_on_a_root_file_system_that_it_cannot_write_to(stage: Stage) -> None:
    metrics = stage.folder / "lib" / "metrics"
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift && [ ! -w / ] && exec "$@"'
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", str(metrics)]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no mount namespace can be had here")
    figures = metrics / "jitsu_backup.prom"
    figures.unlink(missing_ok=True)
    stage.contained("cronjob.yaml", before=alone)
    assert figures.exists()


def test_the_workflow_runs_as_it_stands(stage: Stage, tmp_path: Path) -> None:
    shutil.copy(stage.folder / "etc" / "jitsu-backup.toml", tmp_path)
    secrets = stage.environment
    given = {
        name: re.sub(r"\$\{\{ secrets\.(\w+) \}\}", lambda found: secrets[found[1]], value)
        for name, value in backup_step()["env"].items()
    }
    given["JITSU_BACKUP_METRICS"] = given["JITSU_BACKUP_METRICS"].replace("${{ runner.temp }}", str(tmp_path))
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    endpoint = {"AWS_ENDPOINT_URL": secrets["AWS_ENDPOINT_URL"], "PATH": path}
    done = stage.run(["bash", "-e", "-c", backup_step()["run"]], {**given, **endpoint}, folder=tmp_path)
    assert json.loads(done.stderr)["exit_code"] == 0
    assert (tmp_path / "jitsu_backup.prom").exists()
    assert not [value for value in given.values() if "${{" in value]


def test_what_the_page_says_to_try_runs_as_it_stands_and_once_more(stage: Stage) -> None:
    try_the_settings(stage)


def test_until_the_public_key_is_yours_nothing_is_backed_up(stage: Stage, tmp_path: Path) -> None:
    (recipient,) = tomllib.loads(text("jitsu-backup.toml"))["encrypt_to"]
    yours = stage.stands_for[recipient]
    settings = tmp_path / "jitsu-backup.toml"
    settings.write_text(stage.here(text("jitsu-backup.toml")).replace(yours, recipient))
    done = stage.run(
        [stage.here(PROGRAM), "backup", "--all", "--config", str(settings)], stage.environment, code=2
    )
    assert f"{recipient!r} is no recipient" in done.stderr
