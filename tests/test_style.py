"""What users read is worded as docs/style.md asks: no word of its list in messages, help or documents, and real plurals."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STYLE = (ROOT / "docs/style.md").read_text(encoding="utf-8")


def unwanted() -> Iterator[re.Pattern[str]]:
    """Yield a pattern for each word or form that the page lists as not to be used."""
    rows = STYLE.partition("| not | say |\n|---|---|\n")[2].splitlines()
    for row in rows:
        for text in re.split(r", (?!for)| / ", row.split(" | ")[0].removeprefix("| ")):
            word = re.escape(text)
            if text == "told":  # also a name, as in `told=print`
                word = r"(?<![`.])told(?![`=.])"
            before = r"(?<!\w)" if text[0].isalpha() else ""
            yield re.compile(
                r"[a-z]\(s\)(?!\))" if text == "(s)" else rf"{before}{word}(?!\w)", re.IGNORECASE
            )


UNWANTED = tuple(unwanted())


def found_in(text: str) -> list[str]:
    return [match[0] for pattern in UNWANTED for match in pattern.finditer(text)]


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module that somebody may read, with their lines: docstrings and messages, no bare words."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


MODULES = [
    path
    for path in sorted((ROOT / "jitsu_backup").rglob("*.py"))
    if path.parent.parent.name != "sandbox"
    and path.parent.name != "sandbox"  # whose messages are the console's own
]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(
        p for p in (ROOT / "docs").rglob("*") if p.suffix in {".md", ".sh", ".yml", ".yaml", ".toml", ".1"}
    ),
]


def test_the_page_lists_words() -> None:
    assert len(UNWANTED) > 15
    assert found_in("1 change(s) are told, for it goes on") == ["told", ", for it", "e(s)", "goes on"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_message_or_docstring_has_an_unwanted_word(path: Path) -> None:
    assert [(line, words) for line, text in texts_of(path) if (words := found_in(text))] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_has_an_unwanted_word(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name == "style.md":
        text = text.partition("One thing, one word:")[0]
    text = text.replace("never `entity(s)`", "")
    assert found_in(text) == []
