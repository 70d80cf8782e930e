"""Layer lists in YAML."""

from pathlib import Path

import pytest

from hasnas.cim_estimator import read_layers
from hasnas.errors import BadInputError

VGG = """
timesteps: 5
layers:
  - {kind: conv, in_channels: 3, out_channels: 64, kernel_size: 3, in_size: 32, out_size: 32}
  - {kind: linear, in_channels: 64, out_channels: 10, name: classifier, in_size: [1, 1]}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(text)
    return path


def test_every_layer_gets_neurons_unless_the_list_has_its_own(tmp_path: Path):
    network = read_layers(write(tmp_path, VGG))
    assert network.names == ("conv0", "conv0.lif", "classifier", "classifier.lif")
    assert network.neurons.tolist() == [0, 64 * 32 * 32, 0, 10]
    assert network.level.tolist() == [0, 1, 2, 3]
    assert read_layers(write(tmp_path, VGG + "neurons: none\n")).names == ("conv0", "classifier")
    own = VGG + "  - {kind: lif, in_channels: 10, out_channels: 10}\n"
    assert read_layers(write(tmp_path, own)).names == ("conv0", "classifier", "lif2")


@pytest.mark.parametrize(
    "text, message",
    [
        ("timesteps: 5\nlayers: []\n", "layers must be a list of at least one layer"),
        ("layers: [{kind: conv, in_channels: 1, out_channels: 1}]\n", "timesteps is None"),
        ("timesteps: true\nlayers: 3\n", "timesteps is True"),
        (VGG + "layerz: 1\n", "unknown key 'layerz'; did you mean 'layers'?"),
        (VGG + "neurons: lifs\n", "neurons is 'lifs'; did you mean 'lif'?"),
        (VGG + "  - conv\n", "layers[2] is 'conv'; give a mapping"),
        (VGG + "  - {kind: conv, in_channels: 1}\n", "layers[2]: 'out_channels' is missing"),
        (
            VGG + "  - {kind: conv, in_chanels: 1, out_channels: 1}\n",
            "unknown key 'in_chanels'; did you mean 'in_channels'?",
        ),
        (VGG + "  - {kind: conv, in_channels: 0, out_channels: 1}\n", "layers[2]: layer 'conv2': in_channels is 0"),
        (VGG + "  - {kind: conv, in_channels: 1, out_channels: 1, input_rate: .nan}\n", "input_rate is nan"),
        (VGG + "timesteps: 6\n", "line 6: key 'timesteps' appears twice"),
        ("timesteps: [5\n", "line 2 is not valid YAML"),
        ("- 5\n", "holds no keys but a list"),
    ],
)
def test_mistakes_are_named_with_file_and_place(tmp_path: Path, text: str, message: str):
    path = write(tmp_path, text)
    with pytest.raises(BadInputError) as refused:
        read_layers(path)
    assert str(path) in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_absent_or_binary_file_is_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match="cannot read"):
        read_layers(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="not a text file"):
        read_layers(tmp_path / "binary.yaml")
