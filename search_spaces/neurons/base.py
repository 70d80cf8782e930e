"""What a kind of neurons says about itself: one class a kind; everything else derives from it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from hasnas.errors import BadInputError

if TYPE_CHECKING:
    from torch import Tensor, nn

LEAST_MEMBRANE_BITS, MOST_MEMBRANE_BITS = 2, 16


def check_membrane_bits(bits: int, where: str = "membrane_bits") -> None:
    """Refuse bits that no register of a membrane has; 0 means float membranes and passes.

    Raises:
        BadInputError: if `bits` is neither 0 nor a whole number from 2 to 16.
    """
    least, most = LEAST_MEMBRANE_BITS, MOST_MEMBRANE_BITS
    if isinstance(bits, bool) or not isinstance(bits, int) or not (bits == 0 or least <= bits <= most):
        raise BadInputError(f"{where} is {bits!r}; give {least} to {most} bits, or 0 for float membranes")


@dataclass(frozen=True)
class Dynamics:
    """How mean-field statistics simulate neurons, at threshold 1 and rest 0.

    i <- synapse_keep i + (1 - synapse_keep) x;  v <- keep v + gain i, held by registers if these have bits; spike where
    v >= 1 + rise a; then v <- 0, or v <- v - 1 where the reset is soft; a <- fade a + spike.
    """

    keep: float
    gain: float
    rise: float = 0.0
    fade: float = 0.0
    soft: bool = False
    membrane_bits: int = 0
    synapse_keep: float = 0.0


@dataclass(frozen=True)
class Neuron(ABC):
    """What all spiking neurons are: one per element, with a state that starts every sample at rest.

    All have `membrane_bits`: 0 for float membrane potentials, else b = 2 to 16 bits of a register that holds v. After
    every update, before it is compared with the threshold,

        v <- D clip(round(v / D), -2^(b-1), 2^(b-1) - 1),    D = threshold / 2^(b-2)

    signed fixed point from -2 to just below 2 thresholds: it saturates, rounds to the nearest step (ties to the even
    one), and the threshold itself is a step. The reset is rounded to a step, too, so that v stays on steps after it.

    A subclass is a kind, a frozen dataclass whose fields have defaults.

    Attributes:
        kind: the kind's name in the registry, in files and settings.
        described: what it is called where a tool does not know it.
        leaks: whether the membrane forgets; without leak a macro's tau plays no part.
        resets_fully: whether a spike wipes the membrane, or only takes the threshold off it.
        closed_form_rate: whether the rate under a constant current is LIF's, which soft-LIF training needs.
        trained_parameters: of a whole layer.
        further_states: names of states beside the membrane; each is updated and stored like a membrane of as many bits
            as the hardware says.
    """

    kind: ClassVar[str]
    described: ClassVar[str]
    leaks: ClassVar[bool] = True
    resets_fully: ClassVar[bool] = True
    closed_form_rate: ClassVar[bool] = False
    trained_parameters: ClassVar[int] = 0
    further_states: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def threshold(self) -> float:
        """Firing threshold."""

    @property
    @abstractmethod
    def reset(self) -> float:
        """Potential at rest."""

    @property
    @abstractmethod
    def membrane_bits(self) -> int:
        """Bits of the registers, 0 for float membranes."""

    @property
    def tau(self) -> float:
        """Membrane time constant in timesteps; infinite without leak."""
        return math.inf

    @classmethod
    @abstractmethod
    def of(cls, tau: float, threshold: float, membrane_bits: int) -> Self:
        """The neurons that a macro asks for."""

    @abstractmethod
    def module(self) -> nn.Module:
        """The torch module: `single_step_forward` on [B, ...], `multi_step_forward` on [T, B, ...], `reset`.

        Raises:
            BadInputError: if a number is out of range.
        """

    @property
    def dynamics(self) -> Dynamics | None:
        """What mean-field statistics simulate; `None` where that is not known, and such scores refuse the neurons."""
        return None

    def to_nir(self, shape: tuple[int, ...], timestep_s: float) -> Any | None:
        """The primitive of the package nir for a layer of this shape; `None` if NIR has no word for such neurons."""
        return None

    def charge(self, before: Tensor, current: Tensor, rest: float, learned: Tensor | None) -> Tensor:
        """The membrane after a timestep's input, as `modules.SteppedNeurons` computes it.

        Args:
            before: membrane after the last timestep.
            current: input.
            rest: the reset as the registers hold it.
            learned: w of a learned time constant, if the kind has one.
        """
        return before + (current - (before - rest)) / self.tau

    def settle(self, charged: Tensor, fired: Tensor, rest: float) -> Tensor:
        """The membrane after spikes (1 where one was fired): at rest."""
        return charged * (1 - fired) + rest * fired

    def fixed(self, learned: Callable[[str], Tensor]) -> Neuron:
        """The neurons once training is over.

        Args:
            learned: gives the value of a parameter of the module by its name.
        """
        return self

    @property
    def start(self) -> dict[str, float]:
        """States before the first timestep, by the names that `step_source` uses: the membrane v, then further ones."""
        from hasnas.search_spaces.membranes import held

        return {"v": held(self.reset, self.threshold, self.membrane_bits), **dict.fromkeys(self.further_states, 0.0)}

    def charge_source(self) -> list[str]:
        """`charge` as lines of Python over the input x and the states of `start`; none where nobody wrote them."""
        return []

    def settle_source(self) -> list[str]:
        """`settle` as lines of Python over v and spikes."""
        return [f"v = v * (1 - spikes) + {self.start['v']!r} * spikes"]

    def step_source(self) -> list[str]:
        """One timestep as lines of plain torch, for networks that run without this project.

        They take the input x and the states of `start`, and leave new states and `spikes`, 1 where one is fired.

        Returns:
            The lines; none where nobody wrote them, and such neurons cannot be handed over so.

        >>> from hasnas.search_spaces.neurons import IF
        >>> print(*IF().step_source(), sep="\\n")
        v = v + x
        spikes = (v - 1.0 >= 0).to(x.dtype)
        v = v * (1 - spikes) + 0.0 * spikes
        """
        charge = self.charge_source()
        if not charge:
            return []
        spikes = f"spikes = (v - {self.threshold!r} >= 0).to(x.dtype)"
        return [*charge, *self.register_source(), spikes, *self.settle_source()]

    def register_source(self) -> list[str]:
        """What a register of few bits makes of v; none for float membranes."""
        if not self.membrane_bits:
            return []
        step, largest = self.threshold / 2 ** (self.membrane_bits - 2), 2 ** (self.membrane_bits - 1)
        return [f"v = (v / {step!r}).round().clamp({-largest}, {largest - 1}) * {step!r}"]

    def leak_source(self, current: str = "x") -> list[str]:
        """v <- v + (current - (v - rest)) / tau."""
        rest = self.start["v"]
        gone = f"(v - {rest!r})" if rest else "v"
        return [f"v = v + ({current} - {gone}) / {self.tau!r}"]

    @property
    def firing_current(self) -> float:
        """Constant current at which such neurons fire at every timestep."""
        return (self.tau if self.leaks else 1.0) * (self.threshold - self.reset)

    def with_membrane_bits(self, bits: int) -> Self:
        """The same with other registers."""
        return replace(self, membrane_bits=bits)  # type: ignore[call-arg]
