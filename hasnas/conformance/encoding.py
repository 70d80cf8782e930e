"""What every encoding of values as spikes does."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.datasets.encoding import ENCODINGS, Encoding
from hasnas.errors import BadInputError

from .suite import Suite

TIMESTEPS = 6


class CheckEncoding(Suite):
    """For names in `ENCODINGS` (entry points `hasnas.encodings`)."""

    def build(self, name: str) -> Encoding:
        """The encoding that is tested."""
        return ENCODINGS.get(name)

    @pytest.fixture
    def encoding(self, name: str) -> Encoding:
        """The encoding called `name`."""
        return self.build(name)

    def images(self) -> np.ndarray:
        """Static values `[B, C, H, W]` in [0, 1]; both ends are among them."""
        values = np.random.default_rng(0).random((3, 2, 4, 5), np.float32)
        values[0, 0, 0, :2] = 0, 1
        return values

    def encoded(self, encoding: Encoding, seed: int = 1) -> np.ndarray:
        """Those values, encoded."""
        return encoding.encode(self.images(), TIMESTEPS, np.random.default_rng(seed))

    def test_a_batch_becomes_sequences(self, encoding: Encoding) -> None:
        sequences = self.encoded(encoding)
        assert sequences.shape == (TIMESTEPS, 3, 2 * encoding.channel_factor, 4, 5)
        assert sequences.dtype == np.float32
        assert np.isfinite(sequences).all()
        assert sequences.any()

    def test_spikes_are_zero_or_one(self, encoding: Encoding) -> None:
        found = set(np.unique(self.encoded(encoding)).tolist())
        assert (found <= {0.0, 1.0}) == encoding.spikes

    def test_the_generator_decides(self, encoding: Encoding) -> None:
        np.testing.assert_array_equal(self.encoded(encoding), self.encoded(encoding))

    def test_the_values_are_left_alone(self, encoding: Encoding) -> None:
        values = self.images()
        encoding.encode(values, TIMESTEPS, np.random.default_rng(0))
        np.testing.assert_array_equal(values, self.images())

    def test_different_values_are_told_apart(self, encoding: Encoding) -> None:
        dark, light = (np.full((1, 1, 8, 8), level, np.float32) for level in (0.1, 0.9))
        first, second = (encoding.encode(x, TIMESTEPS, np.random.default_rng(2)) for x in (dark, light))
        assert (first != second).any()

    def test_a_sequence_of_another_length_is_refused_in_one_line(self, encoding: Encoding) -> None:
        with pytest.raises(BadInputError) as caught:
            encoding.encode(np.zeros((TIMESTEPS + 1, 3, 2, 4, 5), np.float32), TIMESTEPS, np.random.default_rng(0))
        assert "\n" not in str(caught.value)
