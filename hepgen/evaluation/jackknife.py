"""The jackknife of groups: errors of scores that are quadratic in the difference of two samples.

Near the floor a quadratic score (separation power, Frechet distance) fluctuates as 1/n, not as its root. Parts of a tenth of
the events, each a measurement of its own, say an error of it that is three times too large; leaving out one part at a time
says one that is the root of two too large, whatever the dimension, and the right one where the samples differ.
"""

from __future__ import annotations

import numpy as np

from hepgen.evaluation.domain import FloatArray


def all_but_each(sums: FloatArray) -> FloatArray:
    """Sums (..., 1 + parts, n) of the whole and of each part as those of the whole and of all but each part.

    Example:
        >>> all_but_each(np.array([[6.0], [1.0], [2.0], [3.0]])).ravel().tolist()
        [6.0, 5.0, 4.0, 3.0]
    """
    whole = sums[..., :1, :]
    return np.concatenate([whole, whole - sums[..., 1:, :]], axis=-2)


def pseudo_values(scores: FloatArray) -> FloatArray:
    """Scores (splits, 1 + parts, ...) of the whole and of all but each part as the whole and pseudo-values of the parts.

    A pseudo-value is what a part adds to k times the whole (Tukey, Annals of Mathematical Statistics 29 (1958) 614): the
    standard deviation of k of them over the root of k is the error of the whole.

    Example:
        >>> means = np.array([[2.0, 2.5, 2.0, 1.5]])  # of 3, 2, 1 without each: they come back
        >>> pseudo_values(means).tolist()
        [[2.0, 1.0, 2.0, 3.0]]
    """
    parts = scores.shape[1] - 1
    whole = scores[:, :1]
    return np.concatenate([whole, parts * whole - (parts - 1) * scores[:, 1:]], axis=1)
