"""One YAML is one run: what is read, what is refused and how, what is saved."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import config_from_tree, config_identity, dump_config, load_config
from hasnas.search_spaces.macro import Macro
from hasnas.yaml_files import parse_yaml, to_yaml

YAML = """
name: digits
seed: 7
dataset: {name: digits}
space: {name: snasnet, feedback: true, macro: {channels: 8, timesteps: 4}}
hardware: spikesim-65nm-rram
budget: {parameters: 4e4, energy: 2 uJ, area: 0.5 mm^2}
"""
TREE = parse_yaml(YAML, "test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "digits.yaml"
    path.write_text(YAML)
    return path


def test_a_config_is_read_with_defaults(path: Path):
    config = load_config(path)
    assert (config.name, config.seed, config.space.macro.channels, config.space.macro.tau) == ("digits", 7, 8, 4 / 3)
    assert config.hardware.reference == "spikesim-65nm-rram"
    assert config.budget.limits == {"parameters": 4e4, "area": 5e-7, "energy": 2e-6}


def test_overrides_change_single_keys_with_their_yaml_types(path: Path):
    overrides = ["budget.energy=3 uJ", "seed=1", "space.feedback=false", "search.mutation=1e-1", "budget.area="]
    config = load_config(path, overrides)
    assert (config.seed, config.space.feedback, config.search.mutation) == (1, False, 0.1)
    assert config.budget.limits == {"parameters": 4e4, "energy": 3e-6}
    assert config.space.macro.timesteps == 4
    bits = load_config(path, ["space.macro.membrane_bits=6", "space.searched.membrane_bits=[0, 4]"]).space
    assert (bits.macro.membrane_bits, bits.searched.values) == (6, {"membrane_bits": (0, 4)})


def test_hardware_is_a_name_a_path_or_changed_in_single_fields(path: Path):
    (path.parent / "chip.yaml").write_text("model: spikesim\n")
    changed = load_config(path, ["hardware.overrides.crossbar.rows=128", "hardware.overrides.clock_hz=1 GHz"])
    assert changed.hardware.overrides == {"crossbar.rows": "128", "clock_hz": "1 GHz"}
    assert changed.hardware.preset == "spikesim-65nm-rram"
    assert load_config(path, ["hardware=chip.yaml"]).hardware.path == str((path.parent / "chip.yaml").resolve())


@pytest.mark.parametrize(
    "override, message",
    [
        ("sead=1", r"unknown key 'sead'; did you mean 'seed'\?"),
        ("search.bach=1", r"unknown key 'search.bach'; did you mean 'batch'\?"),
        ("space.macro.channel=1", r"unknown key 'space.macro.channel'; did you mean 'channels'\?"),
        ("seed=true", "seed is true; it must be a whole number"),
        ("seed=1.5", "seed is 1.5; it must be a whole number"),
        ("seed=-1", "seed is -1; it must be greater than or equal to 0"),
        ("seed='1'", "seed is '1'; it must be a whole number"),
        ("search.crossover=1", "search.crossover is 1; it must be true or false"),
        ("space.macro.tau=.nan", "space.macro.tau is nan; it must be a finite number"),
        ("retrain.learning_rate=.inf", "retrain.learning_rate is inf; it must be"),
        ("retrain.epochs=1e3", "retrain.epochs is 1000.0; it must be a whole number"),
        ("retrain.epochs=99999999999999999999", "retrain.epochs is 9+; it must be less than"),
        ("retrain.seeds=0", "retrain.seeds is 0; it must be greater than or equal to 1"),
        ("retrain.seeds=1.5", "retrain.seeds is 1.5; it must be a whole number"),
        ("retrain.seeds=101", "retrain.seeds is 101; it must be less than or equal to 100"),
        ("budget.energy=2 parsec", "budget.energy is '2 parsec'; .*unit 'parsec'"),
        ("budget.energy=2 ms", "budget.energy is '2 ms'; .*expected a quantity in J, e.g. '2 uJ'"),
        ("budget.energy=2", "budget.energy is 2; give a number with a unit, e.g. '2 uJ'"),
        ("budget.energy=-2 uJ", "budget.energy is '-2 uJ'; a limit is positive and finite"),
        ("budget.energy=nan uJ", "budget.energy is 'nan uJ'; a limit is positive and finite"),
        ("budget.parameters=0", "budget.parameters is 0; a limit is positive and finite"),
        ("budget.parameters=true", "budget.parameters is true; give a number"),
        ("budget.parameters=1.5", "budget.parameters is 1.5; a count is a whole number"),
        ("dataset.name=digit", r"unknown dataset.name 'digit'; did you mean 'digits'\?"),
        ("retrain.baselines=[chian]", r"retrain.baselines.0 is 'chian'; did you mean 'chain'\?"),
        ("retrain.baselines=[chain, chain]", r"baselines is \[chain, chain\]; name each once"),
        ("space.name=snasne", r"unknown space.name 'snasne'; did you mean 'snasnet'\?"),
        ("space.operations=[none, conv5x6]", r"unknown space.operations 'conv5x6'; did you mean 'conv5x5'\?"),
        ("hardware=spikesim-65nm-ram", r"unknown hardware.preset '.*'; did you mean 'spikesim-65nm-rram'\?"),
        ("hardware={preset: a, path: b}", "hardware: give either 'preset' or 'path'"),
        ("hardware.overrides={crossbar: {rows: null}}", "hardware.overrides: override 'rows' needs a plain value"),
        ("hardware=3", "hardware is 3; it is a section with the keys overrides, path, preset"),
        (
            "search={strategy: bayesian_pareto, evaluations: 1001}",
            r"search.evaluations is 1,001, but .* 'bayesian_pareto' takes .* cube; give at most 1,000, or choose nsga2",
        ),
        ("search.strategy=rand", r"unknown search.strategy 'rand'; did you mean 'random'\?"),
        ("search=3", "search is 3; it is a section with the keys asynchronous, batch, "),
        ("search.sample=100", "search: sample is 100, more than the population of 20"),
        ("screen.activity=asumed", r"screen.activity is 'asumed'; did you mean 'assumed'\?"),
        ("screen.activity=assumed", "screen: activity 'assumed' needs 'rate'"),
        ("export.formats=[jsn]", r"export.formats.0 is 'jsn'; no such export format; did you mean 'json'\?"),
        ("export.formats=json", "export.formats is 'json'; it must be a list"),
        ("name=a/b", "name is 'a/b'; a name is letters, digits"),
        ("seed.x=1", "override 'seed.x': seed is a value, not a section"),
        ("seed", "override 'seed' is not key=value"),
        ("=1", "override '=1' is not key=value"),
        ("seed=[", "override 'seed=.* is not valid YAML"),
    ],
)
def test_bad_values_are_refused_in_one_line_that_names_the_key(path: Path, override: str, message: str):
    with pytest.raises(BadInputError, match=message) as refused:
        load_config(path, [override])
    assert "\n" not in str(refused.value)
    assert f"override '{override.split('=')[0]}" in str(refused.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("name: a\nname: b", "line 2: key 'name' appears twice"),
        ("search:\n  batch: 1\n  batch: 2", "line 3: key 'search.batch' appears twice"),
        ("name: [1", "line 1 is not valid YAML"),
        ("name: !!python/object:os.system x", "tag .* is not supported"),
        ("a: &b [1]\nc: *b", r"line 2: aliases"),
        ("1: 2", "a key must be a name"),
        ("", "holds no keys"),
        ("- 1", "holds no keys"),
        ("seed: " + "9" * 5000, "seed has 5000 digits"),
        ("[" * 5000, "nested too deeply"),
        ("name: " + "a" * 300_000, "has more than 256000 characters"),
        ("name: \0", "is not valid YAML"),
        ("name: a", "'dataset' is missing; add it"),
        (YAML + '"b\\nc": 1', r"unknown key 'b\\nc'"),
        ('name: a\nhardware: x\ndataset: {name: "b\\nc"}', r"unknown dataset.name 'b\\nc'"),
        ('"b\\nc": 1\n"b\\nc": 2', r"key 'b\\nc' appears twice"),
        (YAML + "sed: 3", "digits.yaml: unknown key 'sed'; did you mean 'seed'"),
    ],
)
def test_bad_files_are_refused_in_one_line_that_names_the_file(path: Path, text: str, message: str):
    path.write_text(text)
    with pytest.raises(BadInputError, match=message) as refused:
        load_config(path)
    assert "\n" not in str(refused.value)
    assert "digits.yaml" in str(refused.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"cannot read .*absent\.yaml"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="is not a text file"):
        load_config(tmp_path / "binary.yaml")


def test_a_saved_config_is_the_same_run(path: Path):
    config = load_config(path, ["hardware.overrides.device.on_ohm=1e3", "budget.memory=500 kbit"])
    saved = path.with_name("saved.yaml")
    saved.write_text(dump_config(config))
    again = load_config(saved)
    assert again.model_copy(update={"versions": {}}) == config
    assert config_identity(again) == config_identity(config)
    assert {"python", "platform", "torch", "numpy", "spikingjelly"} <= set(again.versions)


def test_the_identity_is_of_what_decides_the_result(path: Path):
    config = load_config(path)
    assert config_identity(load_config(path, ["dataset.root=/data"])) == config_identity(config)
    named = config.model_copy(update={"supernet": config.supernet.model_copy(update={"source": "/elsewhere"})})
    assert config_identity(named, {}) != config_identity(config, {})  # of which the ledger told no contents
    overrides = ("seed=8", "budget.energy=3 uJ", "retrain.epochs=3", "retrain.seeds=2")
    for override in (*overrides, "hardware.overrides.crossbar.rows=32"):
        assert config_identity(load_config(path, [override])) != config_identity(config)


def test_trainings_are_networks_times_seeds(path: Path):
    assert load_config(path, ["retrain.top=4", "retrain.seeds=5"]).retrain.trainings == 20


def test_the_identity_follows_the_content_of_an_own_hardware_description(path: Path):
    chip = path.with_name("chip.yaml")
    chip.write_text("model: spikesim\n")
    config = load_config(path, ["hardware=chip.yaml"])
    before = config_identity(config)
    chip.write_text("model: spikesim\nclock_hz: 1e8\n")
    assert config_identity(config) != before
    chip.unlink()
    with pytest.raises(BadInputError, match=r"hardware\.path: .*chip.yaml is missing"):
        config_identity(config)


def test_yaml_follows_the_core_schema():
    text = "a: 1e-3\nb: 010\nc: yes\nd: 12:30\ne: .inf\nf: ~\ng: 2020-01-01\nh: +5\ni: '1'\nj: 0x10"
    assert parse_yaml(text, "test") == {
        "a": 1e-3, "b": 10, "c": "yes", "d": "12:30", "e": float("inf"), "f": None, "g": "2020-01-01", "h": 5, "i": "1",
        "j": 16,
    }  # fmt: skip


RELAXED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text("abcenostuyENX019.+-:_ ~'\"#&*!|>%@`{}[],?é\n\t", max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)


@RELAXED
@given(st.dictionaries(TEXT, SCALARS, max_size=5))
def test_what_is_written_as_yaml_reads_back_equal(tree: dict):
    tree = {key: value for key, value in tree.items() if value == value}
    assert (parse_yaml(to_yaml(tree), "test") or {}) == tree


def _places(tree: dict, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    here = [(*prefix, key) for key in tree]
    sections = [(key, value) for key, value in tree.items() if isinstance(value, dict)]
    return here + [place for key, value in sections for place in _places(value, (*prefix, key))]


def refused(read: Callable[[], object]) -> str | None:
    """The message of a refusal, `None` if there was none; any other error gets through."""
    try:
        read()
    except BadInputError as error:
        return str(error)
    return None


FULL_TREE = config_from_tree(TREE, "test").model_dump(mode="json")


@pytest.mark.slow
@RELAXED
@given(st.sampled_from(_places(FULL_TREE)), PLAIN)
def test_no_value_anywhere_ends_in_anything_but_a_config_or_one_line(place: tuple[str, ...], value: object):
    tree = config_from_tree(TREE, "test").model_dump(mode="json")
    section = tree
    for part in place[:-1]:
        section = section.setdefault(part, {})
    section[place[-1]] = value
    refusal = refused(lambda: config_from_tree(tree, "test.yaml"))
    assert refusal is None or (refusal.startswith("test.yaml") and "\n" not in refusal)


@RELAXED
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_text_ends_in_anything_but_plain_values_or_one_line(text: str):
    refusal = refused(lambda: parse_yaml(text, "test.yaml"))
    assert refusal is None or (refusal.startswith("test.yaml") and "\n" not in refusal)


def test_the_macro_is_declared_once(path: Path):
    macro = load_config(path, ["space.macro.reductions=[1]"]).space.macro.macro((1, 8, 8), 10)
    assert macro == Macro((1, 8, 8), 10, timesteps=4, channels=8, reductions=(1,))
    for override, told in {
        "space.macro.timesteps=20000": "macro.timesteps is 20000; give a whole number, at least 1, at most 10000",
        "space.macro.tau=1": "macro.tau is 1.0; give more than 1 timestep",
        "space.macro.neuron=liff": "macro.neuron is 'liff'; did you mean 'lif'",
        "space.macro.classes=3": "unknown key 'space.macro.classes'",
        "space.searched.threshold=[0.5, -1]": "macro.threshold is -1.0; give a positive threshold",
        "space.searched.dropout=[0.5]": "unknown key 'space.searched.dropout'",
    }.items():
        with pytest.raises(BadInputError, match=re.escape(told)) as refused:
            load_config(path, [override])
        assert override in str(refused.value)
