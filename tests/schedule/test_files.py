"""The files of `docs/schedule/` are what their readers accept, and agree with each other."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import click
import kubernetes_validate
import pytest
from cronsim import CronSim

from jitsu_backup.archive.retention import policy_of
from jitsu_backup.settings.schema import problems
from tests.schedule.files import (
    ARGUMENTS,
    BACKUPS,
    CRONJOB,
    CRONTABS,
    DEPLOYMENT,
    FILES,
    FOLDER,
    HOURLY,
    INDEXED_JOB,
    JOBS,
    KUSTOMIZE,
    MANIFESTS,
    NIGHTLY,
    PAGE,
    PROGRAM,
    SHOWN_CONTAINER,
    WATCH_CONTAINER,
    WATCH_POD,
    WATCHES,
    after_program,
    backup_step,
    container,
    crontab,
    document,
    named_variables,
    parsed,
    pod,
    settings_of,
    steps,
    text,
    unit,
    variables,
    workflow,
)
from tests.support import MOMENT


@pytest.mark.parametrize("arguments", [pytest.param(words, id=name) for name, words in ARGUMENTS])
def test_a_command_line_is_one_that_the_program_takes(arguments: list[str]) -> None:
    assert parsed(arguments).info_name in ("backup", "watch", "verify", "drill", "check")


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
        assert given["retry_for"] < given["deadline"], name
        assert given["deadline"] + 60 < limit <= HOURLY.total_seconds(), name


# when it runs


def gaps(expression: str) -> set[timedelta]:
    moments = CronSim(expression, datetime(2026, 11, 23, tzinfo=UTC))
    return {after - before for before, after in pairwise(next(moments) for _ in range(50))}


def test_cron_backs_up_every_hour_and_checks_every_night() -> None:
    hourly, times = ([when for when, _ in crontab(text(name))[1]] for name in CRONTABS)
    assert [gaps(when) for when in hourly] == [{HOURLY}, {7 * NIGHTLY}]
    assert [gaps(when) for when in times] == [{NIGHTLY}, {NIGHTLY}, {NIGHTLY}, {7 * NIGHTLY}]
    checks = [parsed(after_program(line)) for line in JOBS[1:]]
    assert [
        (check.info_name, check.params.get("everything"), check.params.get("rehearse")) for check in checks
    ] == [("verify", True, False), ("verify", False, True), ("drill", None, None)]
    nights = {next(CronSim(when, MOMENT)).hour for when in times[:3]}
    assert len(nights) == 3, "one check must have ended when the other begins"


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


def test_no_monitors_check_is_reported_by_two_jobs() -> None:
    checks = [parsed(words).params["ping"] for name, words in ARGUMENTS if name.startswith("crontab")]
    assert len(set(checks)) == len(checks) == 4
    assert parsed(BACKUPS[INDEXED_JOB]).params["ping"].endswith("-$(JOB_COMPLETION_INDEX)")


# the settings and the secrets that all of them share


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
        "Dockerfile", "alerts.yml", *CRONTABS, "environment", "github-actions.yml", "jitsu-backup-failed@.service",
        "jitsu-backup.service", "jitsu-backup.timer", "jitsu-backup.toml", *MANIFESTS, *WATCHES, *KUSTOMIZE,
    }  # fmt: skip
    assert set(FILES) == read
    linked = set(re.findall(r"\]\(schedule/([^)]+)\)", PAGE))
    assert [name for name in FILES if not linked & {name, str(Path(name).parent)}] == []


def test_no_host_is_named_that_may_be_somebodys() -> None:
    for content in (PAGE, *map(text, FILES)):
        hosts = re.findall(r"\b(?:[a-z0-9-]+\.)+(?:com|org|io|net|dev)\b", content)
        named = {host for host in hosts if not host.endswith("example.com")}
        assert named - {"healthchecks.io"} <= {
            "app.kubernetes.io", "pod-security.kubernetes.io", "kustomize.config.k8s.io",
        }, "these are names of Kubernetes, not hosts"  # fmt: skip


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    names = [name for name in FILES if name.endswith((".service", ".timer"))]
    for name in names:
        # the program has to be there for it, and here it is somewhere else
        (tmp_path / name).write_text(text(name).replace(PROGRAM, sys.executable), encoding="utf-8")
    units = [str(tmp_path / name) for name in names]
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


def test_the_end_of_the_log_is_mailed_after_a_failure_of_the_service(tmp_path: Path) -> None:
    mailer = "jitsu-backup-failed@.service"
    assert unit("jitsu-backup.service")["Unit"]["OnFailure"] == mailer.replace("@", "@%n")
    for name, script in (
        ("journalctl", 'echo "the log: $*"'),
        ("sendmail", f'echo "$*" > {tmp_path}/mail; cat >> {tmp_path}/mail'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    filled = (
        unit(mailer)["Service"]["ExecStart"]
        .replace("%i", "jitsu-backup.service")
        .replace("%H", "host")
        .replace("$$", "$")
    )
    given = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MAILTO": "a@example.com"}
    subprocess.run(shlex.split(filled), env=given, check=True)
    assert (tmp_path / "mail").read_text() == (
        "-t\nTo: a@example.com\nSubject: jitsu-backup.service failed on host\n\n"
        "the log: --unit=jitsu-backup.service --lines=30 --output=cat --no-pager\n"
    )


def test_the_timer_makes_up_for_what_was_missed() -> None:
    timer = unit("jitsu-backup.timer")
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Timer"]["OnCalendar"] == "hourly"
    assert timer["Timer"]["RandomizedDelaySec"] == "10min"
    assert timer["Install"]["WantedBy"] == "timers.target"


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
    assert document(CRONJOB)["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0
    sharded = document(INDEXED_JOB)["spec"]["jobTemplate"]["spec"]
    assert sharded["completionMode"] == "Indexed"
    assert sharded["backoffLimitPerIndex"] == 0
    assert "backoffLimit" not in sharded
    assert all(pod(name)["restartPolicy"] == "Never" for name in MANIFESTS)


@pytest.mark.parametrize("name", WATCHES)
def test_a_watch_keeps_all_and_logs_lines(name: str) -> None:
    given = parsed(WATCHES[name]).params
    assert given["everything"] is True
    assert given["log_format"] == "json"
    assert given["no_prune"] is False


def test_the_service_of_the_watch_is_as_closed_as_that_of_backups_and_is_started_again() -> None:
    watch, backup = (unit(name)["Service"] for name in ("jitsu-backup-watch.service", "jitsu-backup.service"))
    own = {"ExecStart", "Type", "Restart", "RestartSec", "TimeoutStopSec", "TimeoutStartSec"}
    assert {name: watch[name] for name in watch if name not in own} == {
        name: backup[name] for name in backup if name not in own
    }
    assert (watch["Type"], watch["Restart"]) == ("exec", "always")
    assert unit("jitsu-backup-watch.service")["Install"]["WantedBy"] == "multi-user.target"


def test_the_deployment_is_one_pod_as_closed_as_the_others_with_probes_that_read_the_figures() -> None:
    deployment, other = document(DEPLOYMENT), container(CRONJOB)
    kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]["type"]) == (1, "Recreate")
    assert WATCH_POD["securityContext"] == pod(CRONJOB)["securityContext"]
    assert WATCH_POD["volumes"] == pod(CRONJOB)["volumes"]
    for name in ("securityContext", "resources", "volumeMounts", "envFrom", "image"):
        assert WATCH_CONTAINER[name] == other[name]
    metrics = str(settings_of(FOLDER, {}).metrics)
    for name in ("startupProbe", "livenessProbe"):
        assert metrics in WATCH_CONTAINER[name]["exec"]["command"][-1]
    assert WATCH_POD["terminationGracePeriodSeconds"] > 5


@pytest.mark.parametrize(("minutes", "alive"), [(0, True), (9, True), (11, False)])
def test_the_probes_see_how_old_the_figures_are(tmp_path: Path, minutes: int, alive: bool) -> None:
    figures = tmp_path / "jitsu_backup.prom"
    figures.write_text("x")
    then = figures.stat().st_mtime - 60 * minutes
    os.utime(figures, (then, then))
    command = [
        word.replace("/var/lib/jitsu-backup/metrics", str(tmp_path))
        for word in WATCH_CONTAINER["livenessProbe"]["exec"]["command"]
    ]
    assert (subprocess.run(command, check=False).returncode == 0) is alive


def test_there_are_as_many_completions_as_shards() -> None:
    shard = parsed(BACKUPS[INDEXED_JOB]).params["shard"]
    sharded = document(INDEXED_JOB)["spec"]["jobTemplate"]["spec"]
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
