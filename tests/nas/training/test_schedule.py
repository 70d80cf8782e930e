import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.training.schedule import learning_rate_at


@given(st.integers(1, 50), st.integers(1, 40), st.floats(0, 5), st.data())
def test_step_sizes_are_positive_and_bounded(epochs: int, steps: int, warmup: float, data: st.DataObject):
    settings = RetrainSection(epochs=epochs, learning_rate=0.1, warmup_epochs=warmup)
    step = data.draw(st.integers(0, epochs * steps - 1))
    assert 0 < learning_rate_at(step, steps, settings) <= 0.1


def test_step_size_rises_and_then_falls():
    settings = RetrainSection(epochs=10, warmup_epochs=1)
    rates = [learning_rate_at(step, 20, settings) for step in range(200)]
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)


@pytest.mark.parametrize(
    "field, value",
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("optimizer", "lion"),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1.0),
        ("label_smoothing", 1.0),
        ("warmup_epochs", -1.0),
        ("gradient_clip", 0.0),
    ],
)
def test_impossible_settings_are_refused_by_name(field: str, value: object):
    with pytest.raises(BadInputError, match=f"retrain.{field}"):
        RetrainSection(**{field: value})
