"""The compiled scan gives what SpikingJelly's neurons give, and can be put into a network or left out."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import subprocess
import sys

import pytest
import torch
from spikingjelly.activation_based import surrogate

from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro, lif_scan
from hasnas.search_spaces.layers import LIF
from hasnas.search_spaces.lif_scan import ScannedLIF, scanned, use_lif_scan
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.neurons.modules import neuron_module

OPERATION = LIF(tau=1.7, threshold=0.8, reset=-0.1)


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch):
    """Compiling switched off by the environment variable."""
    monkeypatch.setenv(lif_scan.SWITCH, "plain")
    lif_scan.compiler_works.cache_clear()
    yield
    lif_scan.compiler_works.cache_clear()


@pytest.fixture(params=["compiled", "as written"])
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """The loops as this machine compiles them, if it can, and as they are written, which every machine can run."""
    kernels = lif_scan._compiled_integrate, lif_scan._compiled_credit
    if request.param == "as written":
        monkeypatch.setattr(lif_scan, "_compile", lambda function: function)
        monkeypatch.setattr(lif_scan, "compiler_works", lambda kind: True)
    elif not lif_scan.compiler_works("cpu"):
        pytest.skip("this machine has no compiler")
    for kernel in kernels:
        kernel.cache_clear()
    yield
    for kernel in kernels:
        kernel.cache_clear()


def currents(steps: int, *shape: int) -> torch.Tensor:
    """Random currents around the threshold."""
    return torch.randn(steps, *shape, generator=torch.Generator().manual_seed(steps)) + 0.6


def network(edges: tuple[Edge, ...] = (Edge(0, 1, "conv3x3"),)):
    """A small network."""
    cell = Genotype(1 + max(edge.target for edge in edges), edges)
    macro = Macro((1, 8, 8), classes=3, timesteps=2, channels=4, hidden=0, votes=1)
    return build_network(Architecture((cell, cell), macro).expand(), seed=0)


def compare(x: torch.Tensor, plain: torch.nn.Module, ours: torch.nn.Module) -> None:
    """Spikes, membranes and gradients of both for the same currents."""
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    spikes, scanned_spikes = plain.multi_step_forward(one), ours.multi_step_forward(other)
    assert 0.05 < float(spikes.float().mean()) < 0.95
    assert torch.equal(spikes, scanned_spikes)
    assert torch.equal(plain.v, ours.v)
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(x.dtype)
    (spikes * weight).sum().backward()
    (scanned_spikes * weight).sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_equals_spikingjelly(loops: None):
    plain = neuron_module(OPERATION)
    compare(currents(2, 3, 5, 7), plain, scanned(plain))
    assert lif_scan._compiled_integrate.cache_info().misses == lif_scan._compiled_credit.cache_info().misses == 1


@pytest.mark.slow
def test_a_membrane_that_just_reaches_the_threshold_fires(loops: None):
    plain = neuron_module(LIF(2.0, 0.5))
    x = (torch.rand(3, 4, 9, generator=torch.Generator().manual_seed(2)) < 0.5).float()
    assert float(plain.multi_step_forward(x[:1]).mean()) == pytest.approx(float(x[0].mean()))
    plain.reset()
    compare(x, plain, scanned(plain))


@pytest.mark.slow
def test_parts_and_state_carried_over(loops: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lif_scan, "MOST_STEPS", 1)
    plain = neuron_module(OPERATION)
    compare(currents(3, 4, 5), plain, scanned(plain))


@pytest.mark.slow
def test_gradient_through_the_membrane(loops: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lif_scan, "MOST_STEPS", 1)
    x = currents(2, 6).requires_grad_()
    start = torch.full((6,), 0.3, requires_grad=True)
    _, last = lif_scan.lif_scan(x, OPERATION, start)
    last.sum().backward()
    ours = start.grad.clone()
    node = neuron_module(OPERATION)
    again = torch.full((6,), 0.3, requires_grad=True)
    node.v = again
    node.multi_step_forward(x.detach())
    node.v.sum().backward()
    torch.testing.assert_close(ours, again.grad)


@pytest.mark.slow
def test_repeated_input_without_copying(loops: None):
    plain = neuron_module(OPERATION)
    x = currents(1, 4, 9).expand(2, 4, 9)
    assert torch.equal(plain.multi_step_forward(x), scanned(plain).multi_step_forward(x))


@pytest.mark.slow
def test_surrogate_width_is_taken_over(loops: None):
    plain = neuron_module(OPERATION)
    plain.surrogate_function = surrogate.ATan(alpha=5.0)
    compare(currents(2, 40), plain, scanned(plain))


def test_other_surrogates_run_as_before():
    plain = neuron_module(OPERATION)
    plain.surrogate_function = surrogate.Sigmoid()
    compare(currents(2, 40), plain, scanned(plain))


@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16])
def test_other_precisions_run_as_before_and_the_function_refuses_them(precision: torch.dtype):
    plain, x = neuron_module(OPERATION), currents(2, 40).to(precision)
    compare(x, plain, scanned(plain))
    with pytest.raises(BadInputError, match="give float32"):
        lif_scan.lif_scan(x, OPERATION)


@pytest.mark.slow
def test_single_steps_continue_a_scan():
    plain, x = neuron_module(OPERATION), currents(3, 20)
    ours = scanned(plain)
    ours.multi_step_forward(x[:2])
    last = ours.single_step_forward(x[2])
    assert torch.equal(plain.multi_step_forward(x)[2], last)
    ours.reset()
    assert ours.v == OPERATION.reset


@pytest.mark.usefixtures("uncompiled")
def test_without_compiling_the_same(caplog: pytest.LogCaptureFixture):
    plain = neuron_module(OPERATION)
    with caplog.at_level(logging.INFO, "hasnas.search_spaces.lif_scan"):
        compare(currents(2, 3, 5), plain, scanned(plain))
        spikes, _ = lif_scan.lif_scan(currents(2, 3, 5), OPERATION)
    plain.reset()
    assert torch.equal(spikes, plain.multi_step_forward(currents(2, 3, 5)))
    assert len(caplog.records) == 1


@pytest.mark.slow
def test_a_machine_without_a_compiler(tmp_path):
    code = (
        "import torch; from hasnas.search_spaces.lif_scan import *\n"
        "print(lif_scan(torch.tensor([[0.9], [1.5]]), LIF(2.0, 0.8))[0].tolist(), compiler_works('cpu'))"
    )
    changes = {"CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), lif_scan.SWITCH: ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **changes}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[[0.0], [1.0]] False"
    assert done.stderr.count("torch.compile does not work here") == 1


@pytest.mark.slow
def test_exchange_in_a_network_leaves_results_and_state_alone():
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = network().eval()
    ours = copy.deepcopy(plain)
    assert use_lif_scan(ours) == sum(isinstance(node.operation, LIF) for node in plain.graph.nodes)
    assert list(plain.state_dict()) == list(ours.state_dict())
    assert torch.equal(plain(x), ours(x))
    assert not any(module.training for module in ours.modules())
    assert use_lif_scan(ours) == 0
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):  # noqa: S301
        assert sum(isinstance(module, ScannedLIF) for module in twin.modules()) == 4
        assert torch.equal(twin(x), plain(x))


@pytest.mark.slow
def test_feedback_still_steps():
    plain = network((Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(2, 1, "conv1x1"))).eval()
    ours = copy.deepcopy(plain)
    use_lif_scan(ours)
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(plain(x), ours(x))


@pytest.mark.slow
def test_maps_with_their_channels_innermost_stay_so() -> None:
    currents = 3 * torch.rand(4 * 2, 6, 5, 5, generator=torch.Generator().manual_seed(0))
    membrane = 0.5 * torch.rand(2, 6, 5, 5, generator=torch.Generator().manual_seed(1))
    found = []
    for form in (torch.contiguous_format, torch.channels_last):
        x = currents.contiguous(memory_format=form).requires_grad_()
        start = membrane.contiguous(memory_format=form)
        spikes, last = lif_scan.lif_scan(x.unflatten(0, (4, 2)), LIF(tau=2.0), start)
        assert spikes.flatten(0, 1).is_contiguous(memory_format=form)
        assert 0.1 < float(spikes.detach().mean()) < 0.9
        (gradient,) = torch.autograd.grad((spikes * membrane).sum() + last.sum(), x)
        found.append((spikes.detach(), last.detach(), gradient))
    for plain, innermost in zip(*found, strict=True):
        assert torch.equal(plain, innermost)
