"""The linter of messages: what a failed run prints says what to do, in a clause that begins with a verb."""

import json
import re
from collections.abc import Sequence

_VERBS = """
add allow apply ask authorise back bring call change check choose clear close convert copy correct create decrypt delete encrypt
find fix free give go install keep leave list look map make merge mount move name open pass pay pick provide put raise read
redirect rehearse remove rename repeat replace report resolve restore retry run save say see set settle shorten show split start stop test try
unpack unset upgrade use verify wait write
"""

ADVICE = re.compile(
    rf"(?:^|[;:.?(] |(?:; |[(])(?:if|to|for) [^;]*, |\b(?:or|and|then|first|must) )(?:either |please |do not )?(?:{'|'.join(_VERBS.split())})\b(?![:,])"
    r"|did you mean |; it has:? ",  # the one that was meant, or the list of those to choose from
    re.MULTILINE | re.IGNORECASE,
)
FAILED = {1, 2, 5, 6, 7}
"""Exit codes of runs that failed. 3 and 4 are results, with a report; after 130, the run was stopped by a person."""

_NO_FAILURE = re.compile(r"nothing was changed$|answered with no; nothing was written$")
"""A person was asked, and answered with no."""


def last_message(errors: str) -> str:
    """Return the message that ended a run: the last one with the program's name, to its end."""
    start = errors.rfind("jitsu-backup: ")
    return errors[max(start, 0) :].strip()


def advises(message: str) -> bool:
    return ADVICE.search(message.partition("jitsu-backup: ")[2] or message) is not None


def assert_advice(arguments: Sequence[object], code: int | None, errors: str, output: str = "") -> None:
    """Assert that a failed run says what to do, in its last message or, without one, in its report.

    With a JSON log, each alarm says it.
    """
    if code not in FAILED:
        return
    if errors.startswith("{"):
        line = json.loads(errors.splitlines()[-1])
        assert [alarm for alarm in line["alarms"] if not alarm["remedy"]] == [], line
        assert line["alarms"], line
        return
    message = last_message(errors)
    if not message.startswith("jitsu-backup: "):
        message = (
            (errors + output).replace("\n", "\n  ").strip()
        )  # a line of a plan that begins with "create" is no advice
    assert advises(message) or _NO_FAILURE.search(message), (
        f"{' '.join(map(str, arguments))} ended with {code} and does not say what to do: {message or 'nothing'}"
    )


def folded(errors: str) -> str:
    """Return what was printed with each command that stands on a line of its own back in its sentence, as logs have it."""
    return re.sub(r":\n  (jitsu-backup .*)", r" `\1`", errors)
