"""The pictures of the concepts, drawn as SVG into the page, so that they follow its colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape


def box(x: float, y: float, width: float, height: float, *lines: str, style: str = "fill") -> str:
    """A rounded box with lines of text in its middle; the first is bold if there are several."""
    text = ""
    for number, line in enumerate(lines):
        middle = y + height / 2 + 15 * (number - (len(lines) - 1) / 2)
        weight = ' font-weight="600"' if number == 0 and len(lines) > 1 else ""
        text += (
            f'<text x="{x + width / 2}" y="{middle}" text-anchor="middle" dominant-baseline="central"{weight}>'
            f"{escape(line)}</text>"
        )
    frame = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{style}" stroke="currentColor"/>'
    return frame + text


def arrow(points: Sequence[tuple[float, float]], dashed: bool = False) -> str:
    """A line with a head."""
    path = " ".join(f"{x},{y}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="currentColor"{dash} marker-end="url(#head)"/>'


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A line without a head."""
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="currentColor"/>'


def label(x: float, y: float, text: str, anchor: str = "start") -> str:
    """A small text."""
    return f'<text class="label" x="{x}" y="{y}" font-size="11" text-anchor="{anchor}">{escape(text)}</text>'


def strand(start: tuple[float, float], end: tuple[float, float], across: tuple[float, float], offset: float) -> str:
    """One of several lines side by side."""
    (x1, y1), (x2, y2), (dx, dy) = start, end, (across[0] * offset, across[1] * offset)
    opacity = 1 if offset == 0 else 0.4
    return f'<g opacity="{opacity}">{line(x1 + dx, y1 + dy, x2 + dx, y2 + dy)}</g>'


def figure(width: int, height: int, about: str, *parts: str) -> str:
    """The drawing with its caption, which readers that see nothing hear."""
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="currentColor"/></marker></defs>'
    )
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" font-size="12.5" role="img" aria-label="{escape(about)}" '
        f'fill="currentColor">{head}{"".join(parts)}</svg><figcaption>{escape(about)}</figcaption></figure>'
    )


def stages() -> str:
    """What a run does, one stage after another."""
    names = (
        ("screen", "price the space,", "keep what fits"),
        ("supernet", "train weights", "that all share"),
        ("search", "propose, evaluate,", "tell, again"),
        ("retrain", "the best, from", "scratch; test once"),
        ("export", "JSON, weights,", "NIR, ..."),
    )
    parts = []
    for number, lines in enumerate(names):
        x = 10 + 150 * number
        parts.append(box(x, 60, 130, 70, *lines))
        if number:
            parts.append(arrow([(x - 20, 95), (x - 2, 95)]))
    parts.append(box(85, 5, 280, 30, "dataset, space, hardware, budget (YAML)", style="open"))
    parts.append(arrow([(85, 20), (40, 20), (40, 58)]))
    parts.append(box(10, 165, 730, 30, "ledger.jsonl: every proposal, its scores, costs and verdict, one line each"))
    parts += [arrow([(75 + 150 * n, 130), (75 + 150 * n, 163)], dashed=True) for n in range(5)]
    return figure(750, 200, "The stages of a run; each may be switched off, and all write to the ledger.", *parts)


def cell() -> str:
    """A network around its cells, one cell, and the supernet that holds all cells."""
    row = ("sample", "stem", "cell 1", "reduction", "cell 2", "classifier")
    parts = [label(10, 14, "macro: what surrounds the cells")]
    for number, name in enumerate(row):
        x = 10 + 124 * number
        parts.append(box(x, 24, 104, 34, name, style="cell" if name.startswith("cell") else "fill"))
        if number:
            parts.append(arrow([(x - 20, 41), (x - 2, 41)]))
    nodes = [(60, 190), (170, 120), (170, 260), (290, 190)]
    edges = ((0, 1, "conv3x3"), (0, 2, "identity"), (1, 3, "avgpool3x3"), (2, 3, "conv1x1"), (1, 2, "none"))
    for shift, several in ((0, False), (390, True)):
        title = (
            "supernet: every pair holds every operation" if several else "a cell: an operation on each pair of nodes"
        )
        parts.append(label(10 + shift, 92, title))
        for start, end, word in edges:
            (x1, y1), (x2, y2) = ((nodes[each][0] + shift, nodes[each][1]) for each in (start, end))
            long = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
            across = (-(y2 - y1) / long, (x2 - x1) / long)
            if several:
                parts += [strand((x1, y1), (x2, y2), across, offset) for offset in (-6, 0, 6)]
            elif word != "none":
                parts.append(arrow([(x1, y1), (x2 - (x2 - x1) * 16 / long, y2 - (y2 - y1) * 16 / long)]))
                parts.append(label((x1 + x2) / 2, (y1 + y2) / 2 + 4, word, "middle"))
        for number, (x, y) in enumerate(nodes):
            parts.append(f'<circle cx="{x + shift}" cy="{y}" r="14" class="fill" stroke="currentColor"/>')
            parts.append(
                f'<text x="{x + shift}" y="{y}" text-anchor="middle" dominant-baseline="central">{number + 1}</text>'
            )
    parts.append(label(400, 300, "a path: one operation of each pair, with the weights that all paths share"))
    return figure(
        750, 310, "Macro, cell and supernet of the space snasnet; the genotype is what stands on the pairs.", *parts
    )


def chip() -> str:
    """Chip, tile, PE, crossbar and cell."""
    columns, rows = [605 + 26 * n for n in range(5)], [40 + 24 * n for n in range(4)]
    parts = [label(x, 14, word) for x, word in ((10, "chip"), (215, "tile"), (390, "PE"), (560, "crossbar array"))]
    parts += [box(10 + 44 * (n % 4), 24 + 44 * (n // 4), 38, 38, "tile") for n in range(12)]
    parts += [box(215, 24, 140, 126, style="open"), box(225, 122, 120, 22, "buffer, adders")]
    parts += [box(225 + 64 * (n % 2), 34 + 44 * (n // 2), 56, 36, "PE") for n in range(4)]
    parts += [box(390, 24, 130, 126, style="open"), box(400, 122, 108, 22, "adders")]
    parts += [box(400 + 58 * (n % 2), 34 + 44 * (n // 2), 50, 36, "array") for n in range(4)]
    parts += [line(585, y, 730, y) for y in rows] + [line(x, 30, x, 128) for x in columns]
    parts += [f'<circle cx="{x}" cy="{y}" r="5" class="accent"/>' for x in columns for y in rows]
    parts += [label(580, y + 4, "spike" if n % 2 == 0 else "none", "end") for n, y in enumerate(rows)]
    parts.append(box(592, 130, 136, 20, "mux, ADC"))
    parts += [arrow([(a, 87), (b, 87)], dashed=True) for a, b in ((188, 212), (357, 387), (522, 546))]
    told = (
        "A row (wordline) carries an input, a column (bitline) sums the currents of its cells, a cell holds bits.",
        "The converter (ADC), which columns share in turn, makes a number of it; adders put bits, arrays and tiles",
        "together; a neuron adds the result to its membrane.",
    )
    parts += [label(10, 174 + 16 * n, text) for n, text in enumerate(told)]
    return figure(750, 212, "How a chip is built: tiles of PEs of crossbar arrays of memory cells.", *parts)


PICTURES: dict[str, Callable[[], str]] = {"stages": stages, "cell": cell, "chip": chip}
