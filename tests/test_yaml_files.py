"""Every kind of file that a user writes in YAML goes through one reader and meets the same bad texts."""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from hasnas.cim_estimator import load_hardware, read_layers
from hasnas.cim_estimator.nonideal import load_nonideal
from hasnas.errors import BadInputError
from hasnas.nas.cli import run_command
from hasnas.nas.config.loading import load_config
from hasnas.search_spaces.yaml_space import load_space_file
from hasnas.yaml_files import MAXIMUM_CHARACTERS, parse_yaml, read_yaml

READERS: dict[str, Callable[[Path], object]] = {
    "config": load_config,
    "layers": read_layers,
    "hardware": load_hardware,
    "device": load_nonideal,
    "space": load_space_file,
}
LAUGHS = "a: &a [x]\n" + "\n".join(f"{new}: &{new} [{f'*{old}, ' * 9}]" for old, new in pairwise("abcdefghi"))
BAD = {
    "billion laughs": (LAUGHS, "line 2: aliases (*name) are not supported"),
    "an anchor used once": ("a: &x 1\nb: *x", "line 2: aliases"),
    "lists in lists": ("a: " + "[" * 200_000, "line 1: nested too deeply; at most 20 levels"),
    "mappings in mappings": ("{a: " * 50_000, "line 1: nested too deeply"),
    "dashes in dashes": ("- " * 100_000, "line 1: nested too deeply"),
    "a key twice": ("name: a\nx: {b: 1,\n  b: 2}", "line 3: key 'x.b' appears twice; keep one"),
    "a long whole number": ("name: a\ntimesteps: " + "9" * 5000, "line 2: timesteps has 5000 digits"),
    "a long fraction": ("rows: 1." + "3" * 5000, "line 1: rows has 5002 digits"),
    "a long hexadecimal number": ("rows: 0x" + "f" * 5000, "line 1: rows has 5002 digits"),
    "a long key": ("a" * 100_000 + ": 1", "is not valid YAML"),
    "a key that is a number": ("1: 2", "line 1: a key must be a name"),
    "a key that is a list": ("[a, b]: 2", "line 1: a key must be a name"),
    "a merge": ("<<: {y: 2}", "line 1: merges (<<) are not supported"),
    "a Python object": ("a: !!python/object/apply:os.system [ls]", "line 1: tag 'tag:yaml.org,2002:python/object"),
    "a tag of one's own": ("a: !mine 1", "line 1: tag '!mine' is not supported"),
    "a number that is none": ("a: !!int many", "line 1: a cannot be read as int"),
    "two documents": ("a: 1\n---\nb: 2", "line 2: a second document starts"),
    "an open bracket": ("a: [1", "line 1 is not valid YAML"),
    "a wrong indent": ("a: 1\n b: 2", "line 2 is not valid YAML"),
    "a letter that is none": ('a: "\\UFFFFFFFF"', "is not valid YAML"),
    "a directive of many digits": ("%YAML 1." + "1" * 5000 + "\n---\na: 1", "is not valid YAML"),
    "a control character": ("a: \x00", "is not valid YAML"),
    "escapes of a terminal": ('"\\e[31m": 1\n"\\e[31m": 1', r"key '\x1b[31m' appears twice"),
    "nothing": ("", "holds no keys but nothing"),
    "a list": ("- 1", "holds no keys but a list"),
    "a text": ("hello", "holds no keys but a single value"),
    "too much": ("a: " + "x" * MAXIMUM_CHARACTERS, "has more than 256000 characters"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", BAD)
def test_every_kind_of_file_refuses_a_bad_text_in_one_quick_line(kind: str, name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    started = time.process_time()
    with pytest.raises(BadInputError) as refused:
        READERS[kind](path)
    shown = str(refused.value)
    assert time.process_time() - started < 5
    assert message in shown
    assert "own.yaml" in shown
    assert shown.isprintable()
    assert len(shown) < 1000


@pytest.mark.parametrize("kind", READERS)
def test_every_kind_of_file_may_be_absent_binary_or_a_folder(kind: str, tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("absent.yaml", "binary.yaml", "folder.yaml", "a" * 300 + ".yaml", "a\0b.yaml"):
        with pytest.raises(BadInputError, match=r"cannot read|is not a text file"):
            READERS[kind](tmp_path / name)


LAYERS = "timesteps: 4\nlayers:\n  - {kind: conv, in_channels: 3, out_channels: 8, in_size: 8}\n"
CHIP = "model: general\n"
WRONG_COMMANDS = [
    (LAYERS.replace("conv", "{a: 1}"), "rram-22nm", (), "unknown kind"),
    (LAYERS.replace("in_size: 8", "in_size: 1" + "0" * 30), "rram-22nm", (), "in_size is 1000"),
    (LAYERS.replace("in_size: 8", "level: [1]"), "rram-22nm", (), "level is (1,)"),
    (LAYERS.replace("in_size: 8", "parameters: x"), "rram-22nm", (), "parameters is 'x'"),
    (LAYERS.replace("in_size: 8", "input_rate: many"), "rram-22nm", (), "input_rate is many"),
    (LAYERS.replace("in_size: 8", "name: {a: 1}"), "rram-22nm", (), "name is {'a': 1}"),
    (LAYERS.replace("4", "1" + "0" * 30, 1), "rram-22nm", (), "timesteps is 1000"),
    (LAYERS + LAYERS, "rram-22nm", (), "key 'timesteps' appears twice"),
    (LAUGHS, "rram-22nm", (), "aliases"),
    (LAYERS, "rram-22nm", ("tile.pes=1" + "0" * 30,), "give at most 1048576"),
    (LAYERS, "rram-22nm", ("crossbar.rows=1" + "0" * 18,), "give at most"),
    (LAYERS, "rram-22nm", ("adc.bits=1000000000",), "adc.bits is 1000000000; give at most 64"),
    (LAYERS, "rram-22nm", ("device=" + "x" * 300,), "unknown device"),
    (LAYERS, "~nosuchuser/chip.yaml", (), "cannot read"),
]


@pytest.mark.parametrize("layers, hardware, settings, message", WRONG_COMMANDS)
def test_the_command_line_answers_bad_files_with_one_line(
    layers: str, hardware: str, settings: tuple[str, ...], message: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "net.yaml"
    path.write_text(layers)
    arguments = ["estimate", str(path), "--hardware", hardware]
    assert run_command([*arguments, *(word for text in settings for word in ("--set", text))]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said


def test_an_absent_home_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("name: a\ndataset: {name: digits}\nhardware: ~nosuchuser/x.yaml\n")
    with pytest.raises(BadInputError, match=r"hardware\.path is '~nosuchuser/x\.yaml'; there is no such home"):
        load_config(path)


def test_the_core_schema_is_read_in_every_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(LAYERS.replace("timesteps: 4", "timesteps: 010").replace("8, in", "0x10, in"))
    network = read_layers(path)
    assert network.timesteps == 10
    assert network.out_channels.tolist()[0] == 16
    path.write_text("device_variation: 1e-1\nname: no\nrows: 0o100\n")
    device = load_nonideal(path)
    assert (device.device_variation, device.name, device.rows) == (0.1, "no", 64)


@pytest.mark.parametrize("text", ["a: [1, [2, {b: ~}]]", "a: !!str 5", "---\na: 'x'\n...", "a: &anchor 1"])
def test_a_file_reads_as_its_text_does(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert read_yaml(tmp_path / "a.yaml") == parse_yaml(text, "text")
