"""Rendering of a page as one self-contained HTML document in which no text of a workspace becomes markup.

The template escapes every value; only `shown` adds elements around one. The content security policy admits only our
own script and styles, by their digests.
"""

import base64
import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING

from jitsu_backup.model import shortened, shown_time
from jitsu_backup.reports.diagram import lay_out
from jitsu_backup.reports.page import LINKS, TYPES, Item, Mark, Page, rank

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_UNFOLDED = 12  # the most marked entities whose details are unfolded from the start
_ALLOWED = "\n\t\u200c\u200d"  # the last two join letters and emoji, and reorder nothing
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def _visible(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a text, each with whether it stands for an invisible character."""
    for unseen, run in groupby(text, key=_is_unseen):
        if unseen:
            yield from ((True, f"U+{ord(one):04X}") for one in run)
        else:
            yield False, "".join(run)


def _is_plain(text: str) -> bool:
    """Return whether a text has no invisible character; a quick test that suffices for most."""
    return text.replace("\n", "").replace("\t", "").isprintable() and not text.isspace() and text != ""


def _is_unseen(one: str) -> bool:
    return one not in _ALLOWED and unicodedata.category(one) in _UNSEEN


def shown(text: object) -> "Markup":
    """Return a text for an element: escaped, isolated from the text around it, with invisible characters as codes."""
    from markupsafe import Markup  # noqa: PLC0415  only pages need it, and it would slow down every command

    if _is_plain(str(text)):
        return Markup("<bdi>") + Markup.escape(str(text)) + Markup("</bdi>")
    parts = (
        Markup('<span class="unseen">{}</span>').format(part) if unseen else Markup.escape(part)
        for unseen, part in _visible(str(text))
    )
    whole = Markup("").join(parts) if str(text).strip() else Markup('<span class="unseen">blank</span>')
    return Markup("<bdi>{}</bdi>").format(whole)


def plain(text: object) -> str:
    """Return a text for an attribute or a title, with invisible characters replaced."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unseen else part for unseen, part in _visible(str(text)))


def short(text: object) -> str:
    """Return a shortened name; the details show it in full."""
    return shortened(str(text))


def heard(item: Item) -> str:
    """Return the text that a screen reader reads for an entity in the diagram."""
    if item.type in LINKS:
        kind = item.kind if item.sync else "connection"
        names = ", ".join(map(short, item.functions))
        used = f"with functions {names}" if item.functions else "without functions"
        runs = () if item.type == "reverse-sync" else (used,)
        parts = [f"{kind} from {short(item.end_names[0])} to {short(item.end_names[1])}", *runs]
    else:
        parts = [f"{item.type} {short(item.name)}", short(item.kind)]
    return ", ".join(part for part in (*parts, item.word) if part)


def _part(name: str) -> str:
    return files("jitsu_backup.reports").joinpath(name).read_text(encoding="utf-8")


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415  only pages need it

    engine = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_part),
    )
    engine.filters |= {
        "shown": shown,
        "plain": plain,
        "short": short,
        "heard": heard,
        "time": shown_time,
    }
    return engine


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def style_of(*names: str, wide: str) -> str:
    """Return the style sheets of a page; `wide` is the media query for the picture with curves."""
    return "".join(map(_part, names)).replace("(--wide)", wide)


def part_of_page(template: str, macro: str, *values: object) -> "Markup":
    """Return the result of a template's macro for some values."""
    made: Markup = getattr(_templates().get_template(template).module, macro)(*values)
    return made


def document(template: str, page: Page, style: str, scripts: Sequence[str], **values: object) -> str:
    """Return a page as one HTML document with a style sheet and our `scripts`, given by file name."""
    from markupsafe import Markup  # noqa: PLC0415  only pages need it

    script = "".join(map(_part, scripts))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        _templates()
        .get_template(template)
        .render(
            page=page,
            policy=policy,
            style=Markup(style),  # noqa: S704  our own files
            script=Markup(script),  # noqa: S704  our own files
            types=TYPES,
            links=LINKS,
            **values,
        )
    )


def render(page: Page) -> str:
    """Return a page as one HTML document."""
    drawing = lay_out(page)
    wide = "screen and (min-width: 56rem)" + ("" if drawing.tall else ", print")
    places = "".join(f"#n{number}{{top:{top}rem}}" for number, top in drawing.tops.items())
    style = style_of("page.css", wide=wide)
    style += f"@media {wide}{{.board{{height:{drawing.height}rem}}{places}}}\n"
    by_type: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(page.items, key=lambda one: one.mark is Mark.PLAIN):
        by_type[item.type].append(item)
    marks = Counter(item.mark for item in page.items)
    return document(
        "page.html.j2",
        page,
        style,
        ["page.js"],
        drawing=drawing,
        groups=[(TYPES.get(name, name), by_type[name]) for name in sorted(by_type, key=rank)],
        unfolded=sum(marks.values()) - marks[Mark.PLAIN] <= _UNFOLDED,
        legend=[
            (mark, marks[mark], _legend(mark, page))
            for mark in Mark
            if marks[mark] and mark is not Mark.PLAIN
        ],
    )


def _legend(mark: Mark, page: Page) -> str:
    words = sorted({item.word for item in page.items if item.mark is mark})
    return " or ".join(words)
