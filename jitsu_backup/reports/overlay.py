"""The overlay that a blocked plan needs, as a template to fill in."""

import re
from collections.abc import Iterable, Iterator

from jitsu_backup.model import printable, shortened, toml_quoted
from jitsu_backup.planning import Plan, UnreadSecret

_NOT_FREE = re.compile(r"\d|JITSU_")
"""Invalid beginnings of a variable: shells reject a digit, overlays reject JITSU_."""


def overlay_text(plan: Plan) -> str:
    """Return an overlay in TOML with every secret that the plan lacks; an empty text if it lacks none.

    The overlay refers to entities by name if that is unique, and has one variable for each secret.
    """
    return "\n\n".join(_tables(plan, set()))


def console_overlay_tables(plans: Iterable[tuple[str, Plan]]) -> list[str]:
    """Return the tables of an overlay with every secret that the plans lack; each plan comes with its workspace's name."""
    variables: set[str] = set()
    return [table for workspace, plan in plans for table in _tables(plan, variables, workspace)]


def _tables(plan: Plan, variables: set[str], workspace: str = "") -> Iterator[str]:
    for action in plan.actions:
        lacking = [loss.path for loss in action.losses if isinstance(loss.reason, UnreadSecret)]
        if lacking:
            selector = plan.selectors.get(action.key, str(action.key))
            name = "" if selector != str(action.key) else f"  # {printable(shortened(action.name))}"
            lines = [f"[{toml_quoted(f'{workspace}:{selector}' if workspace else selector)}]{name}"]
            words = f"{workspace}_{action.name}" if workspace else action.name
            lines += [
                f'{toml_quoted(path)} = {{ env = "{_variable(words, path, variables)}" }}' for path in lacking
            ]
            yield "\n".join(lines)


def _variable(name: str, path: str, taken: set[str]) -> str:
    """Return the name of a variable that is not in `taken`, and add it there."""
    words = re.sub(r"[^A-Z0-9]+", "_", f"{name}_{path}".upper()).strip("_") or "SECRET"
    variable = stem = f"SECRET_{words}" if _NOT_FREE.match(words) else words
    number = 1
    while variable in taken:
        number += 1
        variable = f"{stem}_{number}"
    taken.add(variable)
    return variable
