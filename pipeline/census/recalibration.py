"""Recalibration: what scores are worth here, learned from the units judged so far.

A unit is expected to hold  c + Σ_k mass_k · σ(a + b · level_k)  things.  Three numbers are fitted,
so that thirty units suffice and none of them can be memorised: an offset a and a slope b, as in
Platt's scaling (1999), and a background c for things that the scores do not show.
"""

from __future__ import annotations

import numpy as np

from pipeline.census.design import LEVELS

#: Prior means and standard deviations of a, b and the log of c above its least: without
#: judgements, scores are taken at their word.
_MEANS = np.array([0.0, 1.0, np.log(0.003)])
_SPREADS = np.array([2.0, 0.5, 2.0])
#: Things in a unit that no score shows, at least: no sample says that a detector misses nothing.
LEAST_BACKGROUND = 0.006
_LOWEST, _HIGHEST = np.array([-12.0, 0.1, -12.0]), np.array([6.0, 4.0, 5.0])
_STEPS = 30


def fit(mass: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The parameters (a, b, log c) that judged units suggest.

    Least squares weighted by the variance of a count, which is about its expectation, and weak
    normal priors; Gauss-Newton steps of at most 1.

    Args:
        mass: float (n, 16), of the judged units.
        counts: float (n,), things in each.
    """
    at = _MEANS.copy()
    for _ in range(_STEPS):
        value, slope = _curve(at)
        expected = mass @ value + background(at)
        gradient = np.column_stack(
            [mass @ slope, mass @ (slope * LEVELS), np.full(len(mass), np.exp(at[2]))]
        )
        weight = 1 / (expected + 0.05)
        normal = gradient.T @ (weight[:, None] * gradient) + np.diag(_SPREADS**-2)
        right = gradient.T @ (weight * (counts - expected)) - (at - _MEANS) / _SPREADS**2
        step = np.linalg.solve(normal, right)
        step /= max(1.0, np.abs(step).max())
        at = np.clip(at + step, _LOWEST, _HIGHEST)
        if np.abs(step).max() < 1e-3:
            break
    return at


def expected_counts(mass: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """float (n,): things expected in each unit."""
    return mass @ _curve(parameters)[0] + background(parameters)


def background(parameters: np.ndarray) -> float:
    """Things expected in any unit that no score shows."""
    return float(LEAST_BACKGROUND + np.exp(parameters[2]))


def uncalibrated(mass: np.ndarray) -> np.ndarray:
    """float (n,): things expected in each unit if scores are taken at their word."""
    return mass @ _curve(_MEANS)[0]


def _curve(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a scored thing of each level counts, and the slope of that in a."""
    value = 1 / (1 + np.exp(-(parameters[0] + parameters[1] * LEVELS)))
    return value, value * (1 - value)
