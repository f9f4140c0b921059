"""How windows are ranked, and the scores that a ranking gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.objects.calibration import Calibration
    from pipeline.objects.model import ObjectModel


@dataclass(frozen=True, eq=False)
class Ranking:
    """How windows are ranked.

    Attributes:
        model: Ranks unit vectors of windows; its logits as 0 to 1 are the scores.
        size_m: Size in metres of the thing sought.
        trained: Whether marks trained it; otherwise a click did.
        calibration: Probabilities of its logits; None while there are too few marks.
        good: Good examples it learned from.
        bad: Bad examples.
        example: Mean of the good examples, unit vector (64,), or None where it is unknown.
    """

    model: ObjectModel
    size_m: float
    trained: bool = False
    calibration: Calibration | None = None
    good: int = 1
    bad: int = 0
    example: np.ndarray | None = None


def to_scores(logits: np.ndarray) -> np.ndarray:
    """Logits as scores, 0 to 1."""
    from scipy.special import expit

    return expit(logits)


def to_logit(score: float) -> float:
    """The logit of a score."""
    bounded = min(max(score, 1e-9), 1 - 1e-9)
    return float(np.log(bounded / (1 - bounded)))
