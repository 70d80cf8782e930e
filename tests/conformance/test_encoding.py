"""Every registered encoding."""

from hasnas.conformance import CheckEncoding
from hasnas.datasets.encoding import ENCODINGS


class TestEncodings(CheckEncoding):
    names = ENCODINGS.names()
