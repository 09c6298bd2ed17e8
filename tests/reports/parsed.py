"""A page taken apart as a browser would, and what may be in one."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "input", "path"}
ELEMENTS = {
    "html", "head", "meta", "link", "title", "style", "script", "body", "header", "main", "footer", "section", "div",
    "h1", "h2", "h3", "p", "a", "span", "bdi", "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td",
    "details", "summary", "pre", "svg", "path", "input", "label", "kbd", "h4", "h5", "figure",
    "figcaption", "button", "strong", "ol", "code",
}  # fmt: skip
ATTRIBUTES = {
    "id", "class", "href", "title", "hidden", "open", "tabindex", "role", "lang", "charset", "name", "content", "http-equiv",
    "rel", "for", "type", "autocomplete", "spellcheck", "scope", "colspan", "viewbox", "preserveaspectratio", "focusable", "d",
    "data-item", "data-ends", "data-label", "aria-label", "aria-labelledby", "aria-hidden", "aria-live", "aria-describedby",
    "aria-keyshortcuts", "min", "max", "step", "value", "data-spans", "data-mark", "data-step", "data-at", "data-from", "data-to",
    "data-seconds",
}  # fmt: skip


class Parsed(HTMLParser):
    """A page taken apart as a browser would."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inside: dict[str, str] = {}
        self.code: list[str] = []
        self.names: list[str] = []
        self._open: list[str] = []
        self._dd = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert len(attrs) == len(dict(attrs)), attrs
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("dt", "dd"):
            self._dd = ""
        if tag == "code":
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self._open.pop() == tag
        if tag == "dt":
            self._label = self._dd
        if tag == "dd" and self._label == "name":
            self.names.append(self._dd)

    def handle_data(self, data: str) -> None:
        self._dd += data
        if "code" in self._open:
            self.code[-1] += data
        if self._open:
            self.inside[self._open[-1]] = self.inside.get(self._open[-1], "") + data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def values(self, name: str) -> Iterator[str]:
        return (attributes[name] for _, attributes in self.elements if name in attributes)
