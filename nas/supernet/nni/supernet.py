"""A search space as an NNI ModelSpace: every option's layers in one module, of which each step runs one path.

The layers carry the names they have in deployed networks, and a path is run by the deployed network itself on the
supernet's tensors. So a path's outputs are those of the network that inherits its weights, bit for bit; neurons start
and end each sample at rest and live through its timesteps even where feedback steps a cell one by one; and layers
that were not chosen, or are dead, cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

from hasnas.errors import BadInputError
from hasnas.nas.supernet.mixture import MixtureNetwork, mixture_network
from hasnas.nas.supernet.sharing import (
    Options,
    allowed_codes,
    canonical_codes,
    inherit,
    network_without_weights,
    shared_layers,
)
from hasnas.nas.training.devices import device_of
from hasnas.search_spaces.lif_scan import use_lif_scan
from hasnas.search_spaces.network import SpikingNetwork, attach, initialise, module_for
from hasnas.search_spaces.space import Gene, SearchSpace

from .environment import require_nni
from .mutables import categorical

require_nni()

from nni.mutable import Sample, SampleValidationError, ensure_frozen  # noqa: E402
from nni.nas.nn.pytorch import ModelSpace, MutableModule  # noqa: E402
from nni.nas.oneshot.pytorch.supermodule.base import BaseSuperNetModule  # noqa: E402

CHOICES = "choices."
"""What the names of tensors begin with that belong to the choices, not to layers."""

_CACHED_PATHS = 128


class GeneChoice(MutableModule):
    """One decision of the space: the operation of a pair of nodes and its direction, for all cells that share it.

    The layers it decides about are those of the supernet; the two directions of a pair exclude each other because
    they are choices of one mutable.

    Args:
        gene: the label and the names of all choices.
        allowed: the choices that may be taken.
    """

    def __init__(self, gene: Gene, allowed: Sequence[str]) -> None:
        super().__init__()
        self.gene = gene
        self.decision = self.add_mutable(categorical(gene, allowed))
        self._default: str = ensure_frozen(self.decision)

    @property
    def chosen(self) -> str:
        """The choice that the next forward pass takes."""
        return self._default

    @property
    def allowed(self) -> list[str]:
        """The choices that may be taken."""
        return list(self.decision.values)

    def weights(self, judged: bool) -> Tensor | None:
        """What weighs the operations, or None to run the chosen one alone.

        Args:
            judged: whether the step is there to learn which choices are good, not to train the layers.
        """
        return None

    def freeze(self, sample: Sample) -> nn.Module:
        """A choice that is made leaves no module behind."""
        self.decision.validate(sample)
        return nn.Identity()

    def check_contains(self, sample: Sample) -> SampleValidationError | None:
        """Why NNI must refuse a sample, or None."""
        return self.decision.check_contains(sample)


class SampledGeneChoice(GeneChoice, BaseSuperNetModule):
    """A `GeneChoice` that a one-shot strategy sets anew before each step."""

    def __init__(self, gene: Gene, allowed: Sequence[str]) -> None:
        super().__init__(gene, allowed)
        self._sampled: str | None = None

    @property
    def chosen(self) -> str:
        """The choice that was sampled last."""
        return self._default if self._sampled is None else self._sampled

    def resample(self, memo: dict[str, Any]) -> dict[str, Any]:
        """Take the choice from `memo`; without one there, draw it as NNI does (by a fresh generator, unseeded)."""
        self._sampled = memo[self.gene.label] if self.gene.label in memo else self.decision.random()
        return {self.gene.label: self._sampled}

    def export(self, memo: dict[str, Any]) -> dict[str, Any]:
        """A random choice where `memo` has none, as NNI's random one-shot exports."""
        return {} if self.gene.label in memo else {self.gene.label: self.decision.random()}

    @classmethod
    def mutate(cls, module: nn.Module, name: str, memo: dict[str, Any], mutate_kwargs: dict[str, Any]) -> Any:
        """NNI's mutation hook: replaces a `GeneChoice`."""
        return cls(module.gene, module.allowed) if type(module) is GeneChoice else None


class Supernet(ModelSpace):
    """All networks of a space in one module.

    Args:
        space: the search space.
        options: label -> allowed choices, by default all; see `live_options`.
        seed: seed of the initial weights; a layer starts as in a deployed network built with the same seed.

    Raises:
        BadInputError: for unknown options, or if they allow no connected architecture.
    """

    def __init__(self, space: SearchSpace, options: Options | None = None, seed: int = 0) -> None:
        super().__init__()
        self.space = space
        allowed = allowed_codes(space, options)
        for name, node in shared_layers(space, options).items():
            module = module_for(node.operation)
            if module is not None:
                attach(self, name, module)
        initialise(self, seed)
        self.choices = nn.ModuleList(
            GeneChoice(gene, [gene.choices[code] for code in codes])
            for gene, codes in zip(space.genes, allowed, strict=True)
        )
        self.judges_choices = False
        self._options = options
        self._network = lru_cache(maxsize=_CACHED_PATHS)(self._build)
        self._mixture = lru_cache(maxsize=1)(self._build_mixture)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores of the sampled path, `[B, classes]`; of the mixture of all paths where choices are weighed."""
        weights = {choice.gene.label: choice.weights(self.judges_choices) for choice in self.decisions}
        known = {label: weight for label, weight in weights.items() if weight is not None}
        if known:
            return self._run(self._mixture(), x, known)
        return self._run(self._network(canonical_codes(self.space, self.codes)), x)

    @property
    def alphas(self) -> dict[str, nn.Parameter]:
        """Label -> parameters of the choices, where a strategy has given them any."""
        found = {choice.gene.label: getattr(choice, "alpha", None) for choice in self.decisions}
        return {label: alpha for label, alpha in found.items() if alpha is not None}

    def _run(self, network: SpikingNetwork, *arguments: Any) -> Tensor:
        tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        shared = {name: tensors[name] for name in network.state_dict()}
        return functional_call(network.train(self.training), shared, arguments, strict=True)

    @property
    def decisions(self) -> list[GeneChoice]:
        """The choices, in the order of the genes."""
        return [choice for choice in self.choices if isinstance(choice, GeneChoice)]

    @property
    def codes(self) -> tuple[int, ...]:
        """The codes of the sampled path, dead choices included."""
        return self.codes_of({choice.gene.label: choice.chosen for choice in self.decisions})

    def sample_of(self, codes: Sequence[int]) -> dict[str, str]:
        """NNI's form of some codes in canonical form: label -> choice.

        Raises:
            BadInputError: if a choice was left out of this supernet.
        """
        sample: dict[str, str] = {}
        for choice, code in zip(self.decisions, canonical_codes(self.space, codes), strict=True):
            name = choice.gene.choices[code]
            if name not in choice.allowed:
                raise BadInputError(f"gene '{choice.gene.label}': option '{name}' was left out of the supernet")
            sample[choice.gene.label] = name
        return sample

    def codes_of(self, sample: Mapping[str, str]) -> tuple[int, ...]:
        """The codes of NNI's form."""
        return tuple(gene.choices.index(sample[gene.label]) for gene in self.space.genes)

    def freeze(self, sample: Sample) -> SpikingNetwork:
        """The deployed network of a sample with a copy of the weights."""
        self.validate(sample)
        return inherit(self.state_dict(), self.space.decode(self.codes_of(sample)))

    def extra_oneshot_hooks(self, strategy: object) -> list[Callable[..., Any]]:
        """What NNI's one-shot strategies replace in this space."""
        return list(getattr(strategy, "gene_hooks", [SampledGeneChoice.mutate]))

    def _build_mixture(self) -> MixtureNetwork:
        return mixture_network(self.space, self._options)

    def _build(self, codes: tuple[int, ...]) -> SpikingNetwork:
        network = network_without_weights(self.space.decode(codes).expand())
        if device_of(self).type == "cuda":  # one compiled loop serves all layers of all paths
            use_lif_scan(network)
        return network


def build_supernet(space: SearchSpace, options: Options | None = None, seed: int = 0) -> Supernet:
    """The supernet of a space, without the options that no feasible architecture uses.

    Args:
        space: the search space; its macro says what surrounds the cells.
        options: label of a gene -> allowed choices, by default all; see `live_options`.
        seed: seed of the initial weights.

    Returns:
        A module that takes what the space's networks take; `supernet_report` says how much was left out.

    Raises:
        BadInputError: for unknown options, or if they allow no connected architecture.

    >>> import torch
    >>> from hasnas.search_spaces.macro import Macro
    >>> from hasnas.search_spaces.snasnet import SNASNetSpace
    >>> space = SNASNetSpace(Macro((1, 8, 8), classes=3, timesteps=2, channels=4, hidden=0, votes=1))
    >>> supernet = build_supernet(space, {"cell/0_3": ("identity", "conv3x3")})
    >>> supernet(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 3])
    """
    return Supernet(space, options, seed)
