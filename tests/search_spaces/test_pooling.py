"""Overlapping average pooling against torch's own, with its gradient."""

import pytest
import torch
from torch import nn

from hasnas.search_spaces.layers import AvgPool2d
from hasnas.search_spaces.network import module_for
from hasnas.search_spaces.pooling import OverlappingAvgPool2d


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 1, 2), (3, 1, 0), (2, 1, 0)])
def test_equals_torch_to_rounding(kernel: int, stride: int, padding: int):
    x = torch.randn(3, 4, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    results = []
    for pool in (nn.AvgPool2d(kernel, stride, padding), OverlappingAvgPool2d(kernel, stride, padding)):
        inputs = x.clone().requires_grad_()
        y = pool(inputs)
        y.square().sum().backward()
        results.append((y.detach(), inputs.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-12)


def test_networks_use_it_where_windows_overlap():
    assert type(module_for(AvgPool2d(3, 1, 1))) is OverlappingAvgPool2d
    assert type(module_for(AvgPool2d(2, 2, 0))) is nn.AvgPool2d
    assert not list(OverlappingAvgPool2d(3, 1, 1).state_dict())
