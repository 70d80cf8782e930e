"""What a YAML says of where evaluations run: no part of a run, and checked where Ray is not installed too."""

from typing import Any

import pytest

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import config_from_tree, config_identity


def test_where_a_run_computes_is_not_part_of_it():
    tree = {"name": "a", "dataset": {"name": "digits"}, "hardware": "rram-32nm"}
    there = {**tree, "executor": "ray", "ray": {"address": "head:6379", "gpus": 0.5}}
    assert config_identity(config_from_tree(tree, "a.yaml")) == config_identity(config_from_tree(there, "a.yaml"))


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"executor": "rai"}, "unknown executor 'rai'; did you mean 'ray'"),
        ({"ray": {"address": "auto"}}, "ray is for executor: ray; set that, or remove it"),
        ({"executor": "ray", "ray": {"address": "ray://head:10001"}}, "ray.address is 'ray://head:10001'"),
        ({"executor": "ray", "device": "cuda:1"}, "device is cuda:1, but Ray says which GPU; set device to cuda"),
        ({"executor": "ray", "ray": {"memory_gib": 0}}, "ray.memory_gib is 0"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(changes: dict[str, Any], told: str):
    tree = {"name": "a", "dataset": {"name": "digits"}, "hardware": "rram-32nm", **changes}
    with pytest.raises(BadInputError) as caught:
        config_from_tree(tree, "a.yaml")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
