"""A monitor in the style of healthchecks.io: a service that is pinged when a run starts and when it ends."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import httpx

from jitsu_backup.errors import UsageError
from jitsu_backup.events import Problem, Reporter
from jitsu_backup.operations.alarms import Alarm, What, cut, told_in
from jitsu_backup.operations.outgoing import TOO_MANY, Outgoing, host_of, is_address, is_of_server

PING_SECONDS, PING_ATTEMPTS = 10.0, 3
LONGEST_BODY = 10_000
"""Bytes of the body of a ping."""
_FORGOTTEN_AFTER = 5
"""In how many reports of a service a trouble must be absent to be new when it comes back. Several may take turns."""


class Monitor:
    """A service that is pinged when a run starts and when it ends. It never makes a run fail: problems go to `report`.

    The URL is a secret, so only its host and port are ever shown. Each ping may take `seconds` in all. `environment` may name
    proxies and certificates. Raise UsageError if the URL is not valid.
    """

    def __init__(
        self, url: str, report: Reporter, environment: Mapping[str, str], seconds: float = PING_SECONDS
    ) -> None:
        """Send nothing yet."""
        if not is_address(url):
            raise UsageError("--ping: not a URL; give the address of a check, such as https://hc-ping.com/…")
        self._parts, self._report = urlsplit(url.strip()), report
        self._at = host_of(url)
        self._outgoing = Outgoing(environment, seconds)
        self._problem = ""
        self._heard = dict[str, int]()
        """The reasons for a service's trouble that the monitor knows, and the number of the report that last had each."""
        self._reports = 0

    def start(self) -> None:
        """Report that a run has started."""
        self._send("/start", "", attempts=1)

    def stands(self, code: int, outcome: str, alarms: Iterable[Alarm]) -> None:
        """Report the status of a service, as `end` does; a trouble only when it begins, until all is well again."""
        alarms = [*alarms]
        self._reports += 1
        known = {one: last for one, last in self._heard.items() if self._reports - last <= _FORGOTTEN_AFTER}
        reasons = {_reason(alarm) for alarm in alarms} if code else set()
        self._heard = known | dict.fromkeys(reasons & known.keys(), self._reports)
        if reasons and reasons <= known.keys():
            return
        if self.end(code, outcome, alarms):
            self._heard = self._heard | dict.fromkeys(reasons, self._reports) if code else {}

    def end(self, code: int, outcome: str, alarms: Iterable[Alarm]) -> bool:
        """Report how a run has ended: its exit code, its outcome, and a line for each alarm. Return whether that was sent."""
        alarms = [*alarms]
        for alarm in alarms:  # which have a line of their own
            outcome = (
                outcome.partition(f": {alarm.workspace}: {alarm.why}")[0] if alarm.workspace else outcome
            )
        head = f"exit code {code}: " + (f"{cut(outcome)}\n" if outcome else "")
        lines = "\n".join(told_in(alarms, LONGEST_BODY - len(head.encode())))
        return self._send("" if code == 0 else "/fail", (head + lines).strip(), attempts=PING_ATTEMPTS)

    def _send(self, suffix: str, body: str, *, attempts: int) -> bool:
        url = self._parts._replace(path=self._parts.path.rstrip("/") + suffix).geturl()
        try:
            self._outgoing.post(url, body.encode(), "text/plain", attempts=attempts, follows=True)
            self._problem = ""
        except Exception as problem:  # noqa: BLE001  a proxy or certificate set wrong must not make a backup fail
            why = self._as_predicate(problem)
            if why != self._problem:  # a long-running service reports it once
                self._report(Problem(f"the monitor at {self._at} {why}"))
            self._problem = why
        return not self._problem

    def _as_predicate(self, problem: Exception) -> str:
        """Return why a ping failed, as the rest of a sentence that begins with the monitor."""
        status = problem.response.status_code if isinstance(problem, httpx.HTTPStatusError) else None
        if status == 404:
            return "answered 404: it has no such check; create the check, or correct the URL"
        if status == TOO_MANY:
            return "answered 429: its server limits the number of messages; report less often, or raise its limit"
        if is_of_server(problem):
            return f"answered {status}: its server reports an error; look at it if this lasts"
        if status not in (None, 407):  # that is the proxy's
            return f"answered {status}; check its URL"
        why = self._outgoing.reason_of(problem)
        return (
            f"{why if why.startswith('cannot be reached') else f'could not be reached: {why}'}; check its URL"
        )


def _reason(alarm: Alarm) -> str:
    """Return what a monitor hears once, because an outage makes many workspaces fail for one reason."""
    whose = "" if alarm.what in (What.FAILED, What.RUN_FAILED) else f"{alarm.workspace} {alarm.what.label} "
    return whose + alarm.why
