"""Sections of a Markdown document, fitted into what a comment may hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

LONGEST = 65_000
"""The most bytes of a document in UTF-8. GitHub takes 65,536 characters, which are never more than the bytes."""


@dataclass(frozen=True, slots=True)
class Section:
    """Parts of a document under a title. A part is made only if there is room for it.

    `rest` names the parts in the line that counts those that were cut. The parts of a `folded` section are hidden until
    somebody unfolds it. Earlier sections leave `least` bytes to this one if it needs so many. `closing` stands below the
    parts and is never cut. `count` is what the title counts, if that is not the parts.
    """

    title: str
    parts: Sequence[Callable[[], str]]
    rest: str
    folded: bool = False
    least: int = 4_000
    closing: str = ""
    count: int | None = None


def document(head: str, sections: Sequence[Section]) -> str:
    """Return a document of at most LONGEST bytes: its head, then as much of each section as fits."""
    wanted = [section for section in sections if section.parts]
    reserved = [_needed(section) for section in wanted]
    texts, left = [head], LONGEST - _bytes(head) - 1
    for number, section in enumerate(wanted, 1):
        text = _fitted(section, left - sum(reserved[number:]))
        texts.append(text)
        left -= _bytes(text)
    return "".join(texts)


def _fitted(section: Section, room: int) -> str:
    """Return a section with as many parts as fit into `room` bytes, and a count of the others."""
    before, after = _frame(section)
    shown: list[str] = []
    left = room - _bytes(before + after + _more(section, len(section.parts)))
    for part in section.parts:
        text = part()
        left -= _bytes(text)
        if left < 0:
            break
        shown.append(text)
    cut = len(section.parts) - len(shown)
    return "".join((before, *shown, _more(section, cut) if cut else "", after))


def _frame(section: Section) -> tuple[str, str]:
    title = f"{section.title} ({len(section.parts) if section.count is None else section.count:,})"
    if section.folded:
        return f"\n<details><summary>{title}</summary>\n\n", f"{section.closing}\n</details>\n"
    return f"\n### {title}\n\n", section.closing


def _more(section: Section, count: int) -> str:
    return f"\n… and {count:,} more {section.rest}: see `--html` or `-v`\n"


def _needed(section: Section) -> int:
    """Return how many bytes a section takes, at most its `least`."""
    found = sum(map(_bytes, (*_frame(section), _more(section, len(section.parts)))))
    for part in section.parts:
        found += _bytes(part())
        if found >= section.least:
            return section.least
    return found


def _bytes(text: str) -> int:
    return len(text.encode())
