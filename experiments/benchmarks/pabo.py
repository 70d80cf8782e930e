"""HYBRID on MNIST and SLAYER on N-MNIST: what hyperparameters alone change, the network being one; JSON lines.

    python experiments/benchmarks/pabo.py --data-root DATA --part hybrid --out DIR
    python experiments/benchmarks/pabo.py --data-root DATA --part slayer --out DIR

Settings are drawn from the space of `experiments/pabo_hybrid_mnist.yaml` or `pabo_slayer_nmnist.yaml` and trained from
seed 0 on a share of the training samples; of SLAYER such as the estimator prices at least a quarter below its own, for
what is no cheaper is no answer. Those no less accurate on validation samples than the method's own setting
are good. The own one and the good ones, cheapest first (fewest timesteps, or least energy), are trained from the seeds
1, 2, ..., until one has a mean validation accuracy no lower than the own one's, at most three: that is the chosen one,
else the most accurate of the three. Its networks and the own ones are measured on test samples, once each.
Energy is that of the chip, with measured spikes. DIR/PART.jsonl keeps each training: a run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.cim_estimator import Activity, estimate
from hasnas.nas.config.loading import load_config
from hasnas.nas.data.samples import Splits, load_splits
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.progress import Console
from hasnas.nas.training.evaluation import evaluate, measure_activity
from hasnas.nas.training.methods import TRAINING_METHODS
from hasnas.nas.training.rungs import share_of
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.space import sample

EXAMPLES = Path(__file__).parents[1]
SHORTLIST = 3
Codes = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """One method.

    Args:
        config: name of its example.
        share: of the training samples.
        epochs: of a training.
        cheap: what is to be low.
        own: the method's own setting, by the labels of genes.
        overrides: changes to the example.
    """

    config: str
    share: float
    epochs: int
    cheap: str
    own: dict[str, str]
    overrides: tuple[str, ...] = ()


PARTS = {
    "hybrid": Part(
        "pabo_hybrid_mnist", 0.1, 3, "timesteps",
        {"macro/timesteps": "8", "macro/threshold": "1.0", "macro/neuron": "if", "training/learning_rate": "0.004",
         "training/threshold_balance.factor": "0.7", "training/threshold_balance.percentile": "100",
         "training/surrogate.width": "1"},
        ("retrain.threshold_balance.fine_tuning_epochs=3", "dataset.validation_share=0.03"),
    ),
    "slayer": Part(
        "pabo_slayer_nmnist", 1.0, 6, "energy_j",
        {"macro/channels": "16", "macro/threshold": "1.0", "macro/tau": "2.0", "training/learning_rate": "0.008",
         "training/spike_response.width": "1", "training/spike_response.height": "1"},
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Study:
    """The settings of a part, and what they reach.

    Args:
        part: what is studied.
        root: folder of the data.
        out: where trainings are stored.
        frames: of a recording, in place of the example's.
    """

    part: Part
    root: Path
    out: Path
    frames: int | None = None

    @cached_property
    def setup(self) -> Setup:
        """The example's config, resolved."""
        path = EXAMPLES / f"{self.part.config}.yaml"
        overrides = [f"dataset.root={self.root}", f"retrain.epochs={self.part.epochs}", *self.part.overrides]
        if self.frames is not None:
            overrides += [f"dataset.framing.frames={self.frames}", f"space.macro.timesteps={self.frames}"]
        return Setup(load_config(path, overrides), Console(quiet=True))

    @cached_property
    def splits(self) -> Splits:
        """The samples, the share of those for training that is used."""
        section = self.setup.config.dataset
        splits = load_splits(section.name, self.root, section.validation_share, 0, section.chosen_framing)
        return replace(splits, train=share_of(splits.train, self.part.share, 0))

    @cached_property
    def own(self) -> Codes:
        """The method's own setting."""
        genes = self.setup.space.genes
        found = [gene.choices.index(self._choice(gene.label, gene.choices)) for gene in genes]
        return tuple(self.setup.space.canonical(np.array([found], np.int16))[0][0].tolist())

    def _choice(self, label: str, choices: Sequence[str]) -> str:
        """Of a gene; the last one where the method has none, which is the convolution of a cell."""
        return self.part.own.get(label, choices[-1])

    def drawn(self, count: int) -> list[Codes]:
        """Settings at random, each different; if energy counts, such as are priced lower by a quarter."""
        codes = sample(self.setup.space, np.random.default_rng(0), 20 * count)
        canonical, alive = self.setup.space.canonical(codes)
        rows = canonical[alive]
        if self.part.cheap == "energy_j":
            price = self.setup.pricer.costs(np.array([self.own, *rows.tolist()], np.int16))["energy_j"]
            rows = rows[price[1:] <= 0.75 * price[0]]
        return list(dict.fromkeys(tuple(row) for row in rows.tolist()))[:count]

    @cached_property
    def known(self) -> dict[str, dict[str, float]]:
        """Trainings that are done."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return {one["key"]: one["found"] for one in map(json.loads, lines)}

    @property
    def ledger(self) -> Path:
        """One JSON line for each training."""
        return self.out.with_suffix(".jsonl")

    def trained(self, codes: Codes, seed: int, tested: bool = False) -> dict[str, float]:
        """What a setting reaches from a seed, and what it takes; a training that is done is not repeated."""
        trained_as = f"{self.setup.trained_as(codes)}-{seed}"
        key = f"{trained_as}-test" if tested else trained_as
        if key not in self.known:
            self.known[key] = self._measured(codes, seed, self.out / trained_as, tested)
            self.ledger.parent.mkdir(parents=True, exist_ok=True)
            with self.ledger.open("a") as lines:
                lines.write(json.dumps({"key": key, "found": self.known[key]}) + "\n")
        return self.known[key]

    def _measured(self, codes: Codes, seed: int, directory: Path, tested: bool) -> dict[str, float]:
        """Test accuracy alone where it is asked; the network then comes from its checkpoint."""
        architecture, settings = self.setup.architecture(codes), self.setup.training_of(codes)
        start = time.process_time()
        result = TRAINING_METHODS.get(settings.method)(architecture.to_json(), self.splits, settings, seed, directory)
        seconds = time.process_time() - start
        network = result.network(architecture.to_json())
        if tested:
            return {"test": evaluate(network, self.splits.test)}
        activity = measure_activity(network, self.splits.validation)
        costs = estimate(lower(architecture.expand(), activity), self.setup.hardware_of(codes), Activity.measured())
        return {
            "validation": result.merit,
            "timesteps": float(architecture.macro.timesteps),
            "energy_j": float(costs.costs()["energy_j"]),
            "cpu_s": seconds,
        }

    def described(self, codes: Codes) -> dict[str, str]:
        """The choices of a setting, by their labels."""
        chosen = zip(self.setup.space.genes, codes, strict=True)
        return {gene.label: gene.choices[code] for gene, code in chosen if "/" in gene.label[5:]}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation."""
    return {"mean": float(f"{np.mean(values):.5g}"), "std": float(f"{np.std(values, ddof=1):.3g}")}


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", choices=tuple(PARTS), required=True)
    parser.add_argument("--settings", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--frames", type=int, help="of a recording: the chosen setting with fewer of them as well")
    given = parser.parse_args()
    study = Study(PARTS[given.part], given.data_root, given.out / given.part)
    cheap, seeds = study.part.cheap, range(1, given.seeds + 1)
    tried: dict[Codes, dict[str, float]] = {}
    for codes in dict.fromkeys([study.own, *study.drawn(given.settings)]):
        tried[codes] = study.trained(codes, 0)
        print(json.dumps({"own": codes == study.own, **tried[codes], "setting": study.described(codes)}), flush=True)
    least = tried[study.own]["validation"]
    others = [codes for codes in tried if codes != study.own]
    best = max(tried[codes]["validation"] for codes in others)
    good = [codes for codes in others if tried[codes]["validation"] >= min(least, best)]
    good.sort(key=lambda codes: (tried[codes][cheap], -tried[codes]["validation"]))
    repeated: dict[Codes, list[dict[str, float]]] = {}
    means: dict[Codes, float] = {}
    for codes in (study.own, *good[:SHORTLIST]):
        repeated[codes] = [study.trained(codes, seed) for seed in seeds]
        line: dict[str, Any] = {key: spread([one[key] for one in repeated[codes]]) for key in repeated[codes][0]}
        print(json.dumps({"own": codes == study.own, **line, "setting": study.described(codes)}), flush=True)
        means[codes] = line["validation"]["mean"]
        if codes != study.own and means[codes] >= means[study.own]:
            break
    chosen = max(list(means)[1:], key=lambda codes: (means[codes] >= means[study.own], means[codes]))
    print(json.dumps({"chosen": study.described(chosen)}))
    own = [{**repeated[study.own][seed - 1], **study.trained(study.own, seed, tested=True)} for seed in seeds]
    for frames in (None, given.frames) if given.frames else (None,):
        name = study.out.name if frames is None else f"{study.out.name}-{frames}"
        other = replace(study, out=study.out.with_name(name), frames=frames)
        found = [{**other.trained(chosen, seed), **other.trained(chosen, seed, tested=True)} for seed in seeds]
        paired = {
            "validation": spread([new["validation"] - old["validation"] for old, new in zip(own, found, strict=True)]),
            "test": spread([new["test"] - old["test"] for old, new in zip(own, found, strict=True)]),
            "times_cheaper": spread([old[cheap] / new[cheap] for old, new in zip(own, found, strict=True)]),
        }
        print(json.dumps({"own": own, "frames": frames, "found": found, "paired": paired}))


if __name__ == "__main__":
    main()
