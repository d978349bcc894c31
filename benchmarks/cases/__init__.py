"""The cases of the ratio table, by framework, and those of the picture."""

from __future__ import annotations

from xentropy.bench.case import Case

from . import halves, jax, numpy, picture, tensorflow, torch

__all__ = ["CASES", "PICTURE"]

CASES: tuple[Case, ...] = (*numpy.CASES, *torch.CASES, *tensorflow.CASES, *jax.CASES, *halves.CASES)
PICTURE: tuple[Case, ...] = picture.CASES
