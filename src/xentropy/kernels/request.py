"""What is to be evaluated: a formula, on arrays and options as its caller has them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

from xentropy._types import Arrays, Options
from xentropy.formulas.formula import Formula, shape_of_output

__all__ = ["Request"]


class Request(NamedTuple):
    """A formula and what it is given."""

    formula: Formula
    arrays: Arrays
    options: Options

    @property
    def given(self) -> dict[str, npt.NDArray[Any] | None]:
        """The arrays by their roles."""
        return dict(zip(self.formula.roles, self.arrays, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the losses."""
        return shape_of_output(self.formula, self.arrays[0].shape, self.options)
