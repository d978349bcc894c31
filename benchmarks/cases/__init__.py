"""The cases of the ratio table by framework, of long and the longest calls, of the picture."""

from __future__ import annotations

from xentropy.bench.case import Case

from . import halves, jax, linear, numpy, picture, tensorflow, torch

__all__ = ["CASES", "LONG", "LONGEST", "PICTURE"]

CASES: tuple[Case, ...] = (*numpy.CASES, *torch.CASES, *tensorflow.CASES, *jax.CASES, *halves.CASES)
LONG: tuple[Case, ...] = linear.CASES
LONGEST: tuple[Case, ...] = linear.LONGEST
PICTURE: tuple[Case, ...] = picture.CASES
