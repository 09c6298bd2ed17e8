"""The lines that make a scheduler run a backup every hour, as `docs/schedule` has them."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SETTINGS_FOLDER = "/etc/jitsu-backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyBackup:
    """What runs every hour.

    `program` are the words that start jitsu-backup, `workspaces` the names of those to back up, none for all, `settings`
    the path of the settings file and `secrets` the files that it refers to. `environment` is a file of variables, `store` the
    path of the store if it is a folder, and `user` who runs it. `pings` says that the settings have a monitor.
    """

    program: Sequence[str]
    settings: Path
    user: str
    workspaces: Sequence[str] = ()
    prunes: bool = False
    in_clear: bool = False
    secrets: Sequence[Path] = ()
    environment: Path | None = None
    store: str | None = None
    pings: bool = False

    def words(self, settings: str, *flags: str) -> list[str]:
        """Return the arguments of the program, for settings at a path."""
        before = ["--insecure-http"] if self.in_clear else []
        what = [*self.workspaces] or ["--all"]
        prune = ["--prune"] if self.prunes else []
        limits = ["--retry-for=10m", "--deadline=45m"]
        return [*before, "backup", *what, "--if-changed", *prune, *limits, *flags, f"--config={settings}"]


_NO_MAIL = "Without one, use a monitor: `ping` in the settings"
_NO_MONITOR = """\
# systemd mails nothing: without a monitor, name a unit here that reports a failure
#OnFailure=status-mail@%n.service
"""


def cron_lines(job: HourlyBackup) -> str:
    """Return a line for a crontab. Each run appends a line to a log beside the settings, and cron mails what is wrong."""
    log = shlex.quote(str(job.settings.with_suffix(".log.jsonl")))
    line = shlex.join([*job.program, *job.words(str(job.settings), "--log-format=json")])
    line += f' 2>&1 | tee -a {log} | sed \'/"level":"info"/d\''
    if job.environment is not None:
        line = f"set -a; . {shlex.quote(str(job.environment))}; {line}"
    other = "The monitor in the settings is notified of every run." if job.pings else _NO_MAIL
    in_crontab = line.replace("%", r"\%")  # a bare one would end the command
    return f"""\
# for the crontab of {job.user}: crontab -e
# Each run appends a line to the log {job.settings.with_suffix(".log.jsonl")}.
# cron mails errors if this machine has a mail program: write your address here.
# {other}
# MAILTO=operations@example.com
15 * * * *  {in_crontab}
"""


def systemd_lines(job: HourlyBackup) -> str:
    """Return a service and a timer, each under the name of its file."""
    command = " ".join(
        map(_word, [*job.program, *job.words(str(job.settings), "--log-format=json")])
    ).replace("$", "$$")
    environment = "" if job.environment is None else f"EnvironmentFile={_path(job.environment)}\n"
    store = "" if job.store is None else f"ReadWritePaths={_word(job.store)}\n"
    on_failure = "" if job.pings else _NO_MONITOR
    return f"""\
# /etc/systemd/system/jitsu-backup.service
[Unit]
Description=Back up Jitsu workspaces
Wants=network-online.target
After=network-online.target
{on_failure}
[Service]
Type=oneshot
User={job.user}
{environment}ExecStart={command}
TimeoutStartSec=55min
{store}# if the settings have `metrics`, add: ReadWritePaths=FOLDER-OF-THE-FILE
StateDirectory=jitsu-backup
Environment=XDG_STATE_HOME=%S/jitsu-backup
CapabilityBoundingSet=
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
ProtectHome=read-only
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
UMask=0077

# /etc/systemd/system/jitsu-backup.timer
[Unit]
Description=Back up Jitsu workspaces every hour

[Timer]
OnCalendar=hourly
RandomizedDelaySec=10min
FixedRandomDelay=yes
Persistent=true

[Install]
WantedBy=timers.target

# then: systemctl daemon-reload && systemctl enable --now jitsu-backup.timer
"""


def kubernetes_lines(job: HourlyBackup) -> str:
    """Return a CronJob, after the commands that create the secrets it needs."""
    files = shlex.join(f"--from-file={path}" for path in (job.settings, *job.secrets))
    commands = [f"kubectl create secret generic jitsu-backup {files}"]
    if job.environment is not None:
        from_file = shlex.quote(f"--from-env-file={job.environment}")
        commands.append(f"kubectl create secret generic jitsu-backup-environment {from_file}")
    arguments = job.words(f"{_SETTINGS_FOLDER}/{job.settings.name}", "--log-format=json")
    volume = "" if job.store is None else _IN_A_VOLUME
    return f"""\
# First:
{"".join(f"#   {command}{chr(10)}" for command in commands)}\
# Replace the image with yours. Then, with these lines as cronjob.yaml:
#   kubectl apply -f cronjob.yaml
{volume}apiVersion: batch/v1
kind: CronJob
metadata:
  name: jitsu-backup
spec:
  schedule: "15 * * * *"
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 900
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 10
  jobTemplate:
    spec:
      backoffLimit: 0
      activeDeadlineSeconds: 3300
      template:
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          securityContext:
            runAsNonRoot: true
            runAsUser: 10001
            runAsGroup: 10001
            fsGroup: 10001
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: jitsu-backup
              image: registry.example.com/jitsu-backup:1
              args:
{"".join(f"                - {_yaml(argument)}{chr(10)}" for argument in arguments)}\
{_ENVIRONMENT if job.environment is not None else ""}\
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
              resources:
                requests:
                  cpu: 100m
                  memory: 128Mi
                limits:
                  memory: 512Mi
              volumeMounts:
                - name: settings
                  mountPath: {_SETTINGS_FOLDER}
                  readOnly: true
{"" if job.store is None else _STORE_MOUNT.format(path=_yaml(job.store))}\
          volumes:
            - name: settings
              secret:
                secretName: jitsu-backup
                defaultMode: 0440
{"" if job.store is None else _STORE_VOLUME}"""


_IN_A_VOLUME = """\
# The store is in a volume of the cluster: it needs a PersistentVolumeClaim jitsu-backup, which is mounted where the settings
# name the store. Begin the store there, once, with the first backup:
#   kubectl create job jitsu-backup-first --from=cronjob/jitsu-backup --dry-run=client -o yaml \\
#     | sed 's/--if-changed/--new-store/' | kubectl apply -f -
"""
_ENVIRONMENT = """\
              envFrom:
                - secretRef:
                    name: jitsu-backup-environment
"""
_STORE_MOUNT = """\
                - name: store
                  mountPath: {path}
"""
_STORE_VOLUME = """\
            - name: store
              persistentVolumeClaim:
                claimName: jitsu-backup
"""

SCHEDULERS: Mapping[str, Callable[[HourlyBackup], str]] = {
    "cron": cron_lines,
    "systemd": systemd_lines,
    "kubernetes": kubernetes_lines,
}

_NO_TEXT = ("true", "false", "yes", "no", "on", "off", "y", "n", "null")
"""What YAML reads as something else than text."""


def _word(text: str) -> str:
    """Return a word of a command in a unit file."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return escaped if re.fullmatch(r"[\w@%+=:,./$-]+", escaped, re.ASCII) else f'"{escaped}"'


def _path(path: Path) -> str:
    """Return the path of a setting in a unit file that is one path, unquoted."""
    return str(path).replace("%", "%%")


def _yaml(text: str) -> str:
    """Return a text as a YAML scalar."""
    plain = re.fullmatch(r"(--|[A-Za-z/])[\w=./-]*", text, re.ASCII) and text.lower() not in _NO_TEXT
    quoted = text.replace("'", "''")
    return text if plain else f"'{quoted}'"
