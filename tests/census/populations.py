"""Populations for tests: units whose counts are known, and what a detector makes of them."""

from __future__ import annotations

import numpy as np

from pipeline.census.design import FLOOR, LEVELS, Design, design, unit_weights
from pipeline.census.estimate import Answers

UNITS = 400


def detected(counts: np.ndarray, seed: int = 0, recall: float = 0.9, false: int = 60) -> np.ndarray:
    """float (n, 16): the mass of a detector that finds most things and some that are none."""
    rng = np.random.default_rng(seed)
    mass = np.zeros((len(counts), len(LEVELS)))
    things = np.repeat(np.arange(len(counts)), counts.astype(int))
    seen = things[rng.random(len(things)) < recall]
    np.add.at(mass, (seen, rng.integers(9, 14, len(seen))), 1)
    np.add.at(mass, (rng.integers(0, len(counts), false), rng.integers(2, 8, false)), 1)
    return mass


def drawn(mass: np.ndarray, seed: int, judged: np.ndarray | None = None) -> Design:
    """A design with random numbers of its own."""
    uniform = np.random.default_rng([5, seed]).random(len(mass))
    none = np.zeros(len(mass), int)
    return design(mass, none, 1 - uniform, unit_weights(mass, FLOOR), judged)


def judged(made: Design, counts: np.ndarray, number: int) -> Answers:
    """The first units of a design, judged by the truth."""
    answered = np.zeros(len(counts), bool)
    answered[made.order[:number]] = True
    known = np.where(answered, counts, np.nan)
    return Answers(known, answered, np.full(len(counts), np.nan))
