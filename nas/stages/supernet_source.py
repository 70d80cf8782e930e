"""A supernet that another run has trained, taken to another budget, chip or search."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.history.layout import SUPERNET_FILE
from hasnas.nas.history.run_config import load_run_config, read_events
from hasnas.nas.history.worth import DataFacts, data_facts
from hasnas.nas.supernet.sharing import Options, shared_layers
from hasnas.search_spaces.space import SearchSpace


def check_source(config: RunConfig, facts: DataFacts, contents: Mapping[str, str]) -> None:
    """Refuse a supernet that was trained on other data, or for another space.

    Args:
        config: of the run that takes the supernet.
        facts: of its samples.
        contents: SHA-256 of the files that it names.

    Raises:
        BadInputError: naming the first thing that differs, with both values.
    """
    if config.supernet.source is None:
        return
    directory = Path(config.supernet.source)
    there, events = load_run_config(directory), read_events(directory)
    ours, theirs = (dict(_of_weights(one)) for one in (config, there))
    known = data_facts(events)
    ours["dataset"], theirs["dataset"] = facts.digest, None if known is None else known.digest
    files = [event["details"]["contents"] for event in events if "contents" in event.get("details", {})]
    ours["space.file"], theirs["space.file"] = contents.get("space.file"), files and files[-1].get("space.file")
    for key in sorted(ours.keys() | theirs.keys()):
        mine, other = (one.get(key) or None for one in (ours, theirs))
        if mine != other:
            raise BadInputError(
                f"supernet.from: {directory} has another {key} ({_shown(other)}, here {_shown(mine)}); its weights "
                "mean nothing here: make them equal, or leave out supernet.from"
            )


def source_weights(source: str, space: SearchSpace, options: Options | None) -> dict[str, Tensor]:
    """The weights of a supernet that another run has trained.

    Args:
        source: directory of that run.
        space: of the networks that inherit them.
        options: choices that occur in the region; None for all.

    Raises:
        BadInputError: if they are damaged, or lack an option that was outside the other run's budget.
    """
    weights, _ = load_checkpoint(Path(source) / SUPERNET_FILE)
    layers = {name.rpartition(".")[0] for name in weights}
    lacking = next((name for name in shared_layers(space, options) if name not in layers), None)
    if lacking is not None:
        raise BadInputError(
            f"supernet.from: {source} has no '{lacking}', which no network of its own budget used and some of this one "
            "do; tighten the budget, or leave out supernet.from"
        )
    return weights


def _of_weights(config: RunConfig) -> Iterator[tuple[str, Any]]:
    """All of a config that the weights of a supernet depend on, by dotted keys, beside the section itself."""
    yield "seed", config.seed  # it also says which samples choose
    yield "retrain.loss", config.retrain.loss
    for name, without in (("dataset", {"root"}), ("space", {"file"})):
        yield from _flat(name, getattr(config, name).model_dump(mode="json", exclude=without))


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    else:
        yield key, value


def _shown(value: Any) -> str:
    text = "nothing" if value is None or (isinstance(value, Collection) and not value) else str(value)
    return text if len(text) <= 40 else f"{text[:16]}..."
