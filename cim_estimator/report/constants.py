"""What a chip is made of, a line for each constant."""

from __future__ import annotations

from hasnas.cim_estimator.hardware.spec import HardwareSpec

ConstantRow = tuple[str, str, str, str]


def constant_rows(chip: HardwareSpec) -> list[ConstantRow]:
    """Name, value, unit and source of every constant of a chip, by name.

    >>> from hasnas.cim_estimator import load_hardware
    >>> [row[:3] for row in constant_rows(load_hardware("rram-32nm")) if row[0] == "crossbar.rows"]
    [('crossbar.rows', '128', '1')]
    """
    rows = []
    for path in sorted(chip.sources):
        constant = chip.constant(path)
        value = constant.value
        rows.append((path, f"{value:g}" if isinstance(value, float) else str(value), constant.unit, constant.source))
    return rows
