"""Pieces of a page: every text is escaped on its way in, so that names from files cannot become markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2127; max-width: 1060px; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #d5d9de; padding-bottom: .2rem; }
h3 { margin-bottom: .3rem; }
p.note { color: #5b6470; margin: .3rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #e6e8eb; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { background: #f5f6f8; font-weight: 600; }
tr.total td { font-weight: 600; border-top: 2px solid #9aa0a6; }
tr.best td { background: #eef6ff; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
.card { border: 1px solid #d5d9de; border-radius: 8px; padding: .5rem .8rem; flex: 1 0 8.4rem; }
.card .name { color: #5b6470; font-size: 13px; } .card .value { font-size: 20px; font-weight: 600; }
.card .note { color: #5b6470; font-size: 13px; }
.bar { background: #e6e8eb; border-radius: 4px; height: 6px; margin-top: .3rem; }
.bar div { background: #0072b2; border-radius: 4px; height: 6px; } .bar.broken div { background: #d55e00; }
svg { max-width: 100%; height: auto; }
code, pre { font: 13px/1.45 ui-monospace, monospace; } pre { background: #f5f6f8; padding: .8rem; overflow-x: auto; }
summary { cursor: pointer; margin: .5rem 0; }
"""


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


def element(tag: str, *content: Text, css: str = "") -> Markup:
    """An element.

    >>> element("td", "<x>", css="n").html
    '<td class="n">&lt;x&gt;</td>'
    """
    attribute = f' class="{escape(css, quote=True)}"' if css else ""
    return Markup(f"<{tag}{attribute}>{''.join(render(item) for item in content)}</{tag}>")


def link(text: Text, target: str) -> Markup:
    """A link to a file beside the page."""
    return Markup(f'<a href="{escape(target, quote=True)}">{render(text)}</a>')


def table(header: Sequence[Text], rows: Sequence[Sequence[Text]], marked: dict[int, str] | None = None) -> Markup:
    """A table; `marked` gives rows a class, e.g. `{0: "best"}`."""
    head = element("tr", *(element("th", cell) for cell in header))
    body = [
        element("tr", *(element("td", cell) for cell in row), css=(marked or {}).get(index, ""))
        for index, row in enumerate(rows)
    ]
    return element("div", element("table", head, *body), css="scroll")


def card(name: str, value: str, note: str, used: float | None = None) -> Markup:
    """A number that matters; `used` is its share of a limit."""
    parts: list[Text] = [element("div", name, css="name"), element("div", value, css="value")]
    parts.append(element("div", note, css="note"))
    if used is not None:
        width = f"{min(max(used, 0.0), 1.0):.1%}"
        fill = Markup(f'<div style="width:{width}"></div>')
        parts.append(element("div", fill, css="bar broken" if used > 1 else "bar"))
    return element("div", *parts, css="card")


def details(summary: str, *content: Text) -> Markup:
    """Content that opens on a click."""
    return element("details", element("summary", summary), *content)


def page(title: str, content: Sequence[Text]) -> str:
    """A page that needs no other file and runs no script."""
    body = "\n".join(render(item) for item in content)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )
