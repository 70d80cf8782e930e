"""scikit-learn's digits: the fixed split."""

import numpy as np
from sklearn.datasets import load_digits

from hasnas.datasets.digits import DIGITS

FIRST_TEST_TARGETS = [4, 6, 1, 3, 5, 6, 5, 9, 0, 6, 6, 9]


def test_the_splits_are_all_digits_once():
    train, test = DIGITS.load("train"), DIGITS.load("test")
    together = np.concatenate([train.floats(), test.floats()]).reshape(-1, 64) * 16
    original = load_digits().data.astype(np.float32)
    np.testing.assert_array_equal(together[np.lexsort(together.T)], original[np.lexsort(original.T)])


def test_the_test_split_is_stratified_and_never_moves():
    test = DIGITS.load("test")
    counts, all_counts = np.bincount(test.targets), np.bincount(load_digits().target)
    assert np.all(np.abs(counts - 0.2 * all_counts) < 1)
    assert test.targets[:12].tolist() == FIRST_TEST_TARGETS
