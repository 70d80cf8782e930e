"""What a reader of the explorer can choose: two axes, which trials are shown, and limits other than the run's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hasnas.nas.tracking.html import Markup, element

from .candidates import FAILED, FITS, OVER


def controls(columns: Mapping[str, Any]) -> Markup:
    """The form above the explorer.

    Args:
        columns: see `candidates`.
    """
    axes = columns["axes"]
    places = {axis["name"]: str(number) for number, axis in enumerate(axes)}
    broken = dict.fromkeys(name for _, names in columns["verdicts"] for name in names)
    states = [state for state in (FITS, OVER, FAILED) if any(found == state for found, _ in columns["verdicts"])]
    verdicts = {"any": "", **{state: state for state in states}}
    verdicts |= {f"breaks {name}": f"limit {name}" for name in broken}
    stages = {"any": "", **{name: str(number) for number, name in enumerate(columns["stages"])}}
    across, up = columns["start"]
    parts = [
        _select("across", "x-axis", places, str(across)),
        _select("up", "y-axis", places, str(up)),
        _select("verdict", "verdict", verdicts),
        _select("stage", "stage", stages),
        _input("search", "text", "key or operation", "network"),
    ]
    for number, axis in enumerate(axes):
        if axis["limit"] is not None:
            unit = f" ({axis['unit']})" if axis["unit"] else ""
            most = "least" if axis["more"] else "most"
            parts.append(_input(f"limit{number}", "number", f"{axis['limit']:.5g}", f"{axis['name']} at {most}{unit}"))
    count = element("p", css="note", attributes={"id": "count", "aria-live": "polite"})
    return element("form", *parts, count, css="controls", attributes={"id": "controls", "autocomplete": "off"})


def _select(name: str, label: str, options: Mapping[str, str], chosen: str = "") -> Markup:
    shown = [
        element("option", text, attributes={"value": value, **({"selected": ""} if value == chosen else {})})
        for text, value in options.items()
    ]
    return _labelled(label, element("select", *shown, attributes={"id": name}))


def _input(name: str, kind: str, hint: str, label: str) -> Markup:
    attributes: dict[str, str] = {"id": name, "type": kind, "placeholder": hint}
    if kind == "number":
        attributes |= {"step": "any", "min": "0"}
    return _labelled(label, element("input", attributes=attributes))


def _labelled(label: str, control: Markup) -> Markup:
    return element("label", element("span", label), control)
