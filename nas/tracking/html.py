"""Pieces of a page: every text is escaped on its way in, so that names from files cannot become markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

WITHOUT_CONTENT = ("input",)  # elements that have no end


@dataclass(frozen=True)
class Markup:
    """Text that is HTML already."""

    html: str


Text = str | Markup


def render(text: Text) -> str:
    """HTML of a text, which is escaped unless it is markup.

    >>> render("a < b"), render(Markup("<b>a</b>"))
    ('a &lt; b', '<b>a</b>')
    """
    return text.html if isinstance(text, Markup) else escape(text)


def element(tag: str, *content: Text, css: str = "", attributes: Mapping[str, str] | None = None) -> Markup:
    """An element.

    >>> element("td", "<x>", css="n", attributes={"id": "a"}).html
    '<td class="n" id="a">&lt;x&gt;</td>'
    """
    named = {**({"class": css} if css else {}), **(attributes or {})}
    shown = "".join(f' {name}="{escape(value, quote=True)}"' for name, value in named.items())
    if tag in WITHOUT_CONTENT:
        return Markup(f"<{tag}{shown}>")
    return Markup(f"<{tag}{shown}>{''.join(render(item) for item in content)}</{tag}>")


def link(text: Text, target: str) -> Markup:
    """A link to a file beside the page.

    >>> link("card", "run#2/card.json").html
    '<a href="run%232/card.json">card</a>'
    """
    return element("a", text, attributes={"href": quote(target)})


def table(
    header: Sequence[Text], rows: Sequence[Sequence[Text]], marked: Mapping[int, str] | None = None, css: str = ""
) -> Markup:
    """A table; `marked` gives rows a class, e.g. `{0: "best"}`, and `css` the table."""
    head = element("tr", *(element("th", cell) for cell in header))
    body = [
        element("tr", *(element("td", cell) for cell in row), css=(marked or {}).get(index, ""))
        for index, row in enumerate(rows)
    ]
    return element("div", element("table", head, *body, css=css), css="scroll")


def card(name: str, value: str, note: str, used: float | None = None) -> Markup:
    """A number that matters; `used` is its share of a limit."""
    parts: list[Text] = [element("div", name, css="name"), element("div", value, css="value")]
    parts.append(element("div", note, css="note"))
    if used is not None:
        width = f"{min(max(used, 0.0), 1.0):.1%}"
        fill = element("div", attributes={"style": f"width:{width}"})
        parts.append(element("div", fill, css="bar broken" if used > 1 else "bar"))
    return element("div", *parts, css="card")


def details(summary: str, *content: Text) -> Markup:
    """Content that opens on a click."""
    return element("details", element("summary", summary), *content)
