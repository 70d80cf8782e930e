"""`hasnas doctor`: what this machine and this install have, what was repaired, and what each extra would bring."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from hasnas import __version__
from hasnas.extras import EXTRAS
from hasnas.nas.environment.torchvision_repair import Repair, repair_imports
from hasnas.nas.tracking.aligned import align

CORE = ("numpy", "PyYAML", "typer", "pydantic", "nir")


@dataclass(frozen=True)
class Extra:
    """An extra of hasnas.

    Args:
        name: as `pip install 'hasnas[name]'` takes it.
        packages: title of each package that only it brings -> its version; `None` if it is absent.
    """

    name: str
    packages: Mapping[str, str | None]

    @property
    def state(self) -> str:
        """`"complete"`, `"partly"` or `"absent"`."""
        there = sum(version is not None for version in self.packages.values())
        return "complete" if there == len(self.packages) else "partly" if there else "absent"

    @property
    def missing(self) -> list[str]:
        """Packages that it would bring."""
        return [title for title, version in self.packages.items() if version is None]


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Args:
        versions: of hasnas, Python, the platform and the packages that every install has.
        processor: `name`, `cores`, `memory_bytes`, `features` (instruction sets that NumPy found), and `torch` (what
            torch computes with; `None` without torch).
        gpus: name, memory and compute capability of each; `None` where torch, which knows them, is absent.
        cuda: version that torch was built with; `None` for a build for processors only.
        repairs: of packages that could not be imported beside this build of torch.
        extras: those that there are.
    """

    versions: Mapping[str, str]
    processor: Mapping[str, Any]
    gpus: tuple[Mapping[str, Any], ...] | None
    cuda: str | None
    repairs: tuple[Repair, ...]
    extras: tuple[Extra, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        extras = [{**asdict(extra), "state": extra.state, "missing": extra.missing} for extra in self.extras]
        return {**asdict(self), "extras": extras}

    def describe(self) -> str:
        """The same as text for people."""
        processor = self.processor
        memory = processor["memory_bytes"]
        machine = [
            ("name", processor["name"]),
            ("cores", str(processor["cores"])),
            ("memory", "unknown" if memory is None else f"{memory / 2**30:.1f} GiB"),
            ("features", " ".join(processor["features"]) or "none beyond the plainest"),
            ("torch uses", processor["torch"] or "torch is absent"),
            ("GPU", self._gpus()),
        ]
        extras = [("EXTRA", "STATE", "BRINGS")]
        for extra in self.extras:
            brings = (f"{title} {version or '(absent)'}" for title, version in extra.packages.items())
            extras.append((extra.name, extra.state, ", ".join(brings)))
        lines = [*align(list(self.versions.items())).splitlines(), "", *align(machine).splitlines(), ""]
        lines += [f"repaired: {repair}" for repair in self.repairs] or ["repaired: nothing had to be"]
        lines += ["", *align(extras).splitlines()]
        wanted = [extra.name for extra in self.extras if extra.state != "complete"]
        if wanted:
            lines += ["", f"to add one: pip install 'hasnas[{wanted[0]}]'"]
        return "\n".join(lines)

    def _gpus(self) -> str:
        if self.gpus is None:
            return "unknown without torch"
        if not self.gpus:
            return "none that torch can use" + ("" if self.cuda else "; this build of torch is for processors only")
        return "; ".join(
            f"{gpu['name']}, {gpu['memory_bytes'] / 2**30:.0f} GiB, compute capability {gpu['capability']}"
            for gpu in self.gpus
        )


def examine() -> Diagnosis:
    """Look at this machine and this install; nothing is changed on disk."""
    versions = {"hasnas": __version__, "python": platform.python_version(), "platform": platform.platform()}
    versions |= {package: version for package in CORE if (version := _version(package))}
    has_torch = find_spec("torch") is not None
    repairs = repair_imports() if has_torch else ()
    capability, gpus, cuda = _torch() if has_torch else (None, None, None)
    processor = {
        "name": _processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "features": _features(),
        "torch": capability,
    }
    return Diagnosis(versions, processor, gpus, cuda, repairs, _extras())


def _extras() -> tuple[Extra, ...]:
    distributions = metadata.packages_distributions()
    found: dict[str, dict[str, str | None]] = {}
    for module, (title, extra) in EXTRAS.items():
        names = distributions.get(module, ())
        version = _version(names[0]) if names and find_spec(module) is not None else None
        found.setdefault(extra, {})[title] = version
    return tuple(Extra(name, packages) for name, packages in found.items())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _torch() -> tuple[str, tuple[Mapping[str, Any], ...], str | None]:
    """What torch computes with here, the GPUs, and the CUDA that it was built with."""
    import torch

    gpus = []
    for number in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(number)
        capability = f"{found.major}.{found.minor}"
        gpus.append({"name": found.name, "memory_bytes": found.total_memory, "capability": capability})
    return torch.backends.cpu.get_cpu_capability(), tuple(gpus), torch.version.cuda


def _features() -> list[str]:
    import numpy as np

    told = np.show_config(mode="dicts")
    simd = told.get("SIMD Extensions", {}) if isinstance(told, dict) else {}
    return [*simd.get("baseline", ()), *simd.get("found", ())]


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
