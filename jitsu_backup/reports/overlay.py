"""The overlay that a blocked plan needs, as a template to fill in."""

import re
from collections.abc import Iterable, Iterator

from jitsu_backup.model import Key, format_path, printable, shortened, toml_quoted
from jitsu_backup.planning import Action, Plan, RequiredField, UnreadSecret

NOTHING_TO_FILL_IN = "nothing is missing that an overlay could provide"

_NOT_FREE = re.compile(r"\d|JITSU_")
"""Invalid beginnings of a variable: shells reject a digit, overlays reject JITSU_."""


_COMMENTS = """# Lines with # are addresses and secrets that are copied from the source ("…" may
# hold a secret), and domains that another workspace uses. Where the target has
# its own, give that, and remove the # of the line, and of its table if that has
# one."""


def overlay_text(plan: Plan, *, comments: bool = True) -> str:
    """Return an overlay in TOML with all secrets and required fields that the plan lacks; an empty text if it lacks none.

    The overlay refers to entities by name if that is unique, and has one variable for each text. Values that are no text
    stand in comments, and with `comments` so do the addresses and secrets that are copied from the source.
    """
    optional = dict.fromkeys((*plan.addresses, *plan.copied_secrets)) if comments else {}
    variables: set[str] = set()
    tables = [*_tables(plan, variables, comments=comments)]
    lacking = {action.key for action in plan.actions if _lacking(action) or action.required}
    others = [_commented(plan, key, variables) for key in optional if key not in lacking]
    return "\n\n".join((*([_COMMENTS] if optional else []), *tables, *others)) if tables else ""


def console_overlay_tables(plans: Iterable[tuple[str, Plan]]) -> list[str]:
    """Return the tables of an overlay with all that the plans lack; each plan comes with its workspace's name."""
    variables: set[str] = set()
    return [table for workspace, plan in plans for table in _tables(plan, variables, workspace)]


def _tables(plan: Plan, variables: set[str], workspace: str = "", *, comments: bool = False) -> Iterator[str]:
    for action in plan.actions:
        lacking = _lacking(action)
        if lacking or action.required:
            selector = plan.selectors.get(action.key, str(action.key))
            name = "" if selector != str(action.key) else f"  # {printable(shortened(action.name))}"
            lines = [f"[{toml_quoted(f'{workspace}:{selector}' if workspace else selector)}]{name}"]
            words = f"{workspace}_{action.name}" if workspace else action.name
            lines += _copied(plan, action.key, words, variables) if comments else ()
            lines += [
                f'{toml_quoted(path)} = {{ env = "{_variable(words, path, variables)}" }}' for path in lacking
            ]
            lines += [_required(field, words, variables) for field in action.required]
            yield "\n".join(lines)


def _required(field: RequiredField, name: str, variables: set[str]) -> str:
    """Return the line of a field that the target console requires, in a comment if its value is no text."""
    path = toml_quoted(field.path)
    if field.kind != "string":
        return f"# {path} = …  # required by the target console: {field.kind}"
    return (
        f'{path} = {{ env = "{_variable(name, field.path, variables)}" }}  # required by the target console'
    )


def _lacking(action: Action) -> list[str]:
    return [loss.path for loss in action.losses if isinstance(loss.reason, UnreadSecret)]


def _commented(plan: Plan, key: Key, variables: set[str]) -> str:
    """Return what an entity that lacks nothing gets from the source, as comments with their table."""
    name = next(action.name for action in plan.actions if action.key == key)
    table = f"# [{toml_quoted(plan.selectors.get(key, str(key)))}]"
    return "\n".join((table, *_copied(plan, key, name, variables)))


def _copied(plan: Plan, key: Key, words: str, variables: set[str]) -> Iterator[str]:
    """Yield the addresses of an entity in the source and the secrets that it gets from there, as comments.

    No secret has its value.
    """
    yield from _addresses(plan, key)
    addresses = {address.path for address in plan.addresses.get(key, ())}
    for path in plan.copied_secrets.get(key, ()):
        if path not in addresses:
            written = format_path(path)
            yield f'# {toml_quoted(written)} = {{ env = "{_variable(words, written, variables)}" }}'


def _addresses(plan: Plan, key: Key) -> Iterator[str]:
    """Yield an entity's addresses in the source, as comments; a value that may hold a secret is left out."""
    for address in plan.addresses.get(key, ()):
        value = address.value
        texts = [toml_quoted(text) for text in ([value] if isinstance(value, str) else value or ["…"])]
        shown = f"[{', '.join(texts)}]" if isinstance(value, list) else texts[0]
        yield f"# {toml_quoted(format_path(address.path))} = {shown}"


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
