"""Wrong calls and their messages as data.

An array of the backend under test is written ``<float32[8, 128]>``; its name and its device are
filled in from an array of that backend.
"""

from __future__ import annotations

from .case import Case, Make, losses, sparse
from .dtypes import DTYPES
from .labels import LABELS
from .linear import LINEAR
from .options import OPTIONS
from .shapes import SHAPES

__all__ = ["CASES", "Case", "Make", "losses", "sparse"]

CASES: list[Case] = [*SHAPES, *DTYPES, *LABELS, *OPTIONS, *LINEAR]
