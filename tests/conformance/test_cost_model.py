"""What every cost model (a preset with its formulas) owes to the rest of the project."""

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate, estimate_costs, hardware_names, load_hardware

LAYERS = [
    LayerSpec("conv", 2, 8, kernel_size=3, in_size=8, evaluations=1, input_bits=8, biases=8, level=0),
    LayerSpec("lif", 8, 8, in_size=8, level=1),
    LayerSpec("conv", 8, 8, kernel_size=3, in_size=8, biases=8, input_rate=0.2, level=2),
    LayerSpec("conv", 8, 8, kernel_size=1, in_size=8, biases=8, input_rate=0.2, level=2),
    LayerSpec("add", 24, 8, in_size=8, level=3, delay=1),
    LayerSpec("scale", 8, 8, in_size=8, parameters=16, level=4),
    LayerSpec("pool", 8, 8, kernel_size=2, stride=2, in_size=8, level=5),
    LayerSpec("linear", 128, 10, input_bits=3, biases=10, level=6),
]
NETWORK = Workload.from_layers(LAYERS, timesteps=4)
COSTS = {"parameters", "memory_bits", "area_m2", "latency_s", "energy_j"}


@pytest.fixture(params=hardware_names())
def hardware(request: pytest.FixtureRequest):
    return load_hardware(request.param)


def test_it_prices_every_kind_of_layer(hardware):
    report = estimate(NETWORK, hardware)
    assert set(report.costs()) == COSTS
    assert all(float(value) > 0 for value in report.costs().values())
    assert report.energy_by_layer_j.shape == (len(LAYERS), len(report.energy_components))
    assert report.area_by_layer_m2.shape == (len(LAYERS), len(report.area_components))


def test_the_same_question_has_the_same_answer(hardware):
    one, two = (estimate(NETWORK, hardware, Activity.measured()).to_json() for _ in range(2))
    assert one == two


def test_counts_do_not_depend_on_activity(hardware):
    dense, sparse = (estimate(NETWORK, hardware, activity) for activity in (Activity.dense(), Activity.assumed(0.01)))
    assert dense.parameters == sparse.parameters
    assert dense.memory_bits == sparse.memory_bits
    assert float(dense.area_m2) == float(sparse.area_m2)
    assert sparse.energy_j <= dense.energy_j


def test_a_screen_sees_what_a_report_says(hardware):
    columns = {
        name: np.stack([getattr(NETWORK, name)] * 3)
        for name in Workload.__dataclass_fields__
        if name not in ("names", "timesteps")
    }
    population = Workload(names=NETWORK.names, timesteps=4, **columns)
    for engine in ("numpy", "compiled"):
        costs = estimate_costs(population, hardware, engine=engine)
        assert set(costs) == COSTS
        for name, value in estimate(NETWORK, hardware).costs().items():
            np.testing.assert_allclose(costs[name], float(value), rtol=1e-12)
