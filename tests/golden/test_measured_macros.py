"""The general model beside measured RRAM macros: within the factors that are reported, no closer and no further."""

import pytest

from hasnas.experiments.benchmarks.measured_macros import MACROS, READ, efficiencies, price

# Ours over measured, by paper: latency and efficiency, from the lowest to the highest of its modes.
FOUND = {
    "Wan 2022": ((0.008, 0.025), (0.4, 1.4)),
    "Yin 2019": ((0.3, 0.5), (0.9, 1.4)),
    "Xue 2020a": ((0.4, 0.7), (0.25, 0.5)),
    "Xue 2020b": ((0.5, 1.5), (0.2, 0.8)),
    "Hung 2021": ((1.0, 3.5), (0.1, 0.6)),
    "Hung 2023": ((2.5, 3.8), (0.06, 0.1)),
    "Liu 2020": ((0.0003, 0.0004), (1.4, 2.2)),
}  # a core alone, against the chip with its interfaces


@pytest.mark.parametrize("macro", MACROS, ids=lambda macro: f"{macro.paper}: {macro.mode}")
def test_measured_macros_are_reached_within_the_reported_factors(macro):
    assert macro.paper in READ
    (slow_least, slow_most), (least, most) = FOUND[macro.paper]
    report = price(macro, settled=True)
    assert slow_least < float(report.latency_s) / macro.latency_s < slow_most
    assert float(price(macro, settled=False).latency_s) <= float(report.latency_s)
    inside, everything = efficiencies(macro, report)
    assert least < inside / macro.tops_per_watt < most
    assert everything < inside
