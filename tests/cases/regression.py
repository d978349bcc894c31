"""The regression losses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .case import BOTH, Case, rng
from .inputs import C, N

__all__ = ["cases"]


def _inputs() -> Iterator[Case]:
    curves: list[tuple[str, dict[str, Any]]] = [
        ("squared_error", {}),
        ("absolute_error", {}),
        ("log_cosh", {}),
        *(("huber", {"delta": delta}) for delta in (1.0, 0.1, 30.0)),
        *(("smooth_l1", {"beta": beta}) for beta in (1.0, 0.1, 30.0, 0.0)),
    ]
    spreads = {"scale 1": 1.0, "scale 1e-6": 1e-6, "scale 30": 30.0, "scale 1e8": 1e8}
    for (loss, options), (spread, scale) in itertools.product(curves, spreads.items()):
        name = " ".join([loss, *map(str, options.values()), spread])
        r = rng(name)
        yield Case(
            name,
            loss,
            {
                "predictions": scale * r.normal(size=(N, C)),
                "targets": scale * r.normal(size=(N, C)),
            },
            options,
            wrt=("predictions", "targets"),
            compiled=(loss, options, spread) == ("huber", {"delta": 0.1}, "scale 1"),
        )


def _options() -> Iterator[Case]:
    for loss in ("squared_error", "log_cosh", "huber", "smooth_l1"):
        r = rng(f"{loss} options")
        near = r.normal(size=(N, C))
        yield Case(
            f"{loss} near",
            loss,
            {"predictions": near, "targets": near * (1 + 2.0**-18)},
            wrt=("predictions", "targets"),
        )
        yield Case(
            f"{loss} weights",
            loss,
            {
                "predictions": near,
                "targets": np.arange(C)[None, :],
                "sample_weight": r.uniform(size=(N, C)),
                "where": r.integers(0, 3, (N, 1)) > 0,
            },
            wrt=("predictions", "sample_weight"),
            dtypes=BOTH[:1],
        )
        yield Case(
            f"{loss} of numbers",
            loss,
            {"predictions": np.array(2.5), "targets": np.array(-1.25)},
            wrt=("predictions", "targets"),
            dtypes=BOTH[:1],
        )


def cases() -> Iterator[Case]:
    yield from _inputs()
    yield from _options()
