"""Probabilities of a detector, from cross-validation over its marks.

A model is trained without one part of the marks and judges that part, in turn for all parts.  A
logistic curve through these judgements (Platt, 1999, with his smoothed targets) gives the
probability of a logit.  Marks are asked for where the model is in doubt, so the curve is steepest
and surest there; it says little of windows unlike any mark.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.objects.training import Examples, Likely, logistic, train

#: Marks of each kind without which there is no probability.
FEWEST = 10
FOLDS = 5
#: Cross-validation takes one in so many random windows: its logits change by some hundredths.
_EVERY = 2


@dataclass(frozen=True)
class Calibration:
    """Probability of a logit: 1 / (1 + exp(-(slope · logit + offset))).

    Attributes:
        slope: Positive.
        offset: Added.
        marks: Marks it is based on.
        accuracy: Share of them judged right without having been learned from.
    """

    slope: float
    offset: float
    marks: int
    accuracy: float

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """float (n,), 0 to 1."""
        from scipy.special import expit

        return expit(self.slope * np.asarray(logits, np.float64) + self.offset)


def calibrate(
    examples: Examples, unmarked: np.ndarray, hits: np.ndarray | None = None
) -> Calibration | None:
    """The calibration of the model that these marks train; None if there are too few.

    Args:
        examples: The marks.
        unmarked: float32 (n, 64), unit vectors of windows drawn at random.
        hits: float32 (m, 64), unit vectors of the hits from which the model learns as well.
    """
    good, bad = len(examples.good), len(examples.bad)
    if min(good, bad) < FEWEST:
        return None
    labels = np.r_[np.ones(good), np.zeros(bad)]
    logits = cross_validated(examples, unmarked, hits)
    targets = np.where(labels == 1, (good + 1) / (good + 2), 1 / (bad + 2))
    slope, offset = logistic(logits[:, None], targets, np.ones(len(labels)), 1e-3)
    if slope <= 0:  # the marks contradict each other
        return None
    right = float(np.mean((slope * logits + offset > 0) == (labels == 1)))
    return Calibration(float(slope), float(offset), len(labels), right)


def cross_validated(
    examples: Examples, unmarked: np.ndarray, hits: np.ndarray | None = None, folds: int = FOLDS
) -> np.ndarray:
    """Logits (g + b,) of the good, then the bad examples by models that have not seen them."""
    good, bad = examples.good, examples.bad
    unmarked = unmarked[::_EVERY]
    fold_good, fold_bad = np.arange(len(good)) % folds, np.arange(len(bad)) % folds
    logits = np.empty(len(good) + len(bad))
    for fold in range(folds):
        seen = Examples(good[fold_good != fold], bad[fold_bad != fold])
        model = train(seen, unmarked)
        if hits is not None:
            # These marks alone say how likely a hit is.
            model = train(seen, unmarked, Likely.of(hits, model.logits(hits)))
        logits[: len(good)][fold_good == fold] = model.logits(good[fold_good == fold, 0])
        logits[len(good) :][fold_bad == fold] = model.logits(bad[fold_bad == fold, 0])
    return logits
