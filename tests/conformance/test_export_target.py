"""Every registered export format."""

import pytest

from hasnas.conformance import CheckExportTarget
from hasnas.nas.config.plugins import EXPORT_TARGETS

pytestmark = pytest.mark.slow


class TestExportTargets(CheckExportTarget):
    names = EXPORT_TARGETS.names()
