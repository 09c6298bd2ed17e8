"""The overlay that a blocked plan needs, ready to be filled in."""

import json
import re

from jitsu_backup.model import HARMFUL, printable, shortened
from jitsu_backup.planning import Action, Plan, UnreadSecret

_NOT_FREE = re.compile(r"\d|JITSU_")
"""Invalid beginnings of a variable: shells reject the first, overlays the second."""


def overlay_text(plan: Plan) -> str:
    """Return an overlay in TOML with every secret that the plan lacks; an empty text where it lacks none.

    The overlay names entities by name where that is unique, and has one variable for each secret.
    """
    tables = []
    variables: set[str] = set()
    for action in plan.actions:
        lacking = [loss.path for loss in action.losses if isinstance(loss.reason, UnreadSecret)]
        if lacking:
            selector = plan.selectors.get(action.key, str(action.key))
            name = "" if selector != str(action.key) else f"  # {printable(shortened(action.name))}"
            lines = [f"[{_quoted(selector)}]{name}"]
            lines += [
                f'{_quoted(path)} = {{ env = "{_variable(action, path, variables)}" }}' for path in lacking
            ]
            tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _variable(action: Action, path: str, taken: set[str]) -> str:
    """Return a name of a variable that is not in `taken`, and add it there."""
    words = re.sub(r"[^A-Z0-9]+", "_", f"{action.name}_{path}".upper()).strip("_") or "SECRET"
    name = stem = f"SECRET_{words}" if _NOT_FREE.match(words) else words
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name)
    return name


def _quoted(text: str) -> str:
    """Return a text as a TOML string that is safe to show on a terminal."""
    return HARMFUL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
