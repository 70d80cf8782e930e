from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.nas.budget.costs import ENERGY, PLAIN_UNITS, Cost, known_costs
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking import figures
from hasnas.nas.tracking.figures import axis_unit, cell_drawing, quality_against_cost, quality_against_costs

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> list[str]:
    return ["".join(item.itertext()) for item in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@given(st.sampled_from(known_costs()), st.floats(1e-14, 1e12))
def test_numbers_on_an_axis_stay_short(cost: Cost, largest: float):
    factor, unit = axis_unit(cost, largest)
    assert factor > 0
    if cost.unit != "m2" and 1e-12 < largest < 1e12 and (largest >= 1 or cost.unit not in PLAIN_UNITS):
        assert 0.99 < largest / factor < 1001
    assert len(unit) <= 7


def test_every_cost_has_a_panel(history: list[Trial]):
    text = words(figures.to_svg(quality_against_costs(history, {"energy": 1e-6}, known_costs())))
    for cost in known_costs():
        assert any(word.startswith(cost.name) for word in text), cost.name
    assert "retrained, test" in text
    assert "limit" in text


@pytest.mark.slow
def test_equal_figures_are_equal_text(history: list[Trial]):
    first, second = (figures.to_svg(quality_against_costs(history, {})) for _ in range(2))
    assert first == second
    ElementTree.fromstring(first)


def test_a_panel_of_its_own_is_a_picture(history: list[Trial]):
    assert figures.to_png(quality_against_cost(ENERGY, history, {})).startswith(b"\x89PNG")


def test_empty_histories_can_be_drawn():
    for figure in (quality_against_costs([], {}), figures.progress([]), figures.firing_rates({})):
        assert figures.to_png(figure).startswith(b"\x89PNG")


def test_a_far_outlier_is_said_and_not_shown(history: list[Trial]):
    many = history[:1] * 20
    bad = [Trial(0, "search", "k", (), {}, 0, "done", {"validation_accuracy": 0.01}, history[0].costs)]
    assert "1 below" in words(figures.to_svg(figures.progress(many + bad)))


def test_large_errors_are_the_outliers(errors: list[Trial]):
    bad = [Trial(0, "search", "k", (), {}, 0, "done", {"validation_mean_absolute_error": 70.0}, errors[0].costs)]
    good = [Trial(0, "search", "k", (), {}, 0, "done", {"validation_mean_absolute_error": 0.01}, errors[0].costs)]
    text = words(figures.to_svg(figures.progress(errors[:1] * 20 + bad)))
    assert {"1 above", "validation mean absolute error"} <= set(text)
    figure = figures.progress(errors[:2] + good + bad)
    (steps,) = figure.axes[0].lines
    assert list(steps.get_ydata()) == [0.5, 0.5, 0.01, 0.01]
    assert "mean absolute error" in words(figures.to_svg(quality_against_costs(errors, {})))


def test_cells_show_their_operations():
    cells = [
        {"nodes": 3, "edges": [[0, 2, "conv3x3"], [2, 1, "identity"]]},
        {"nodes": 4, "edges": [[0, 3, "<b>&"]]},
        {"nodes": 2, "edges": []},
    ]
    text = words(figures.to_svg(cell_drawing(cells)))
    assert {"conv3x3", "identity", "<b>&", "cell 1", "cell 3"} <= set(text)


def test_an_arc_starts_rises_and_ends_where_it_should():
    assert figures._arc_point(1, 2, 0, 0) == (1, 0)
    assert figures._arc_point(1, 2, 0.5, 0.5) == (2, 2)
    assert figures._arc_point(1, 2, 1, 1) == (3, 0)
    assert figures._arc_point(3, -2, 0.5, 0.5) == (2, -2)
