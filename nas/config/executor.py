"""Where a run's evaluations run: the keys `executor` and `ray`, which do not decide its result."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from .section import Section

AUTO = "auto"
"""This process for one worker, a pool of processes for more."""


class RaySection(Section):
    """How `executor: ray` finds its machines, and what each evaluation takes of them.

    Args:
        address: of a cluster, `HOST:PORT` of its head or `auto` for the one that this machine belongs to; null starts
            Ray on this machine alone, its ports on the loopback interface.
        gpus: GPUs of each evaluation, or the share of one; null is one where the run computes on GPUs, else none.
        memory_gib: memory that an evaluation may take in GiB, so that no node is given more than it holds; null does
            not say.

    >>> RaySection(address="ray://head:10001")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: ray.address is 'ray://head:10001'; give HOST:PORT of the cluster's head, or auto, and \
start hasnas on a node of the cluster
    """

    place = "ray"
    address: str | None = None
    gpus: Annotated[float, Field(ge=0, le=64, strict=False)] | None = None
    memory_gib: Annotated[float, Field(gt=0, le=1e6, strict=False)] | None = None

    @field_validator("address")
    @classmethod
    def _of_a_head(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"auto|[A-Za-z0-9._\-\[\]:]+:\d{1,5}", value):
            raise ValueError("give HOST:PORT of the cluster's head, or auto, and start hasnas on a node of the cluster")
        return value
