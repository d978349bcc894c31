"""The logits of a linear layer as a framework holds them: what the library is to be as close as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import xentropy

__all__ = ["LAYER", "Held", "hold"]

LAYER = ("hidden", "weight", "bias", "scale", "softcap")
"""The arguments that are of the layer and not of what is made of its logits."""


@dataclass(frozen=True)
class Held:
    """Logits that a framework holds, and the arrays that they are made of."""

    logits: Any
    hidden: Any
    weight: Any
    u: Any
    scale: float

    def back(self, g: Any) -> dict[str, Any]:
        """Return gradients by the arrays of the layer, of one by the logits."""
        xp = xentropy.backend_of(self.hidden).xp
        rows = xp.reshape(self.hidden, (-1, self.hidden.shape[-1]))
        g = self.scale * xp.reshape(g, (-1, self.weight.shape[0]))
        g = g if self.u is None else g * (1.0 - self.u * self.u)
        return {
            "hidden": xp.reshape(g @ self.weight, tuple(self.hidden.shape)),
            "weight": xp.permute_dims(g, (1, 0)) @ rows,
            "bias": xp.sum(g, axis=0, keepdims=False),
        }


def hold(
    hidden: Any,
    weight: Any,
    bias: Any = None,
    *,
    dtype: str,
    scale: float = 1.0,
    softcap: float | None = None,
) -> Held:
    """Return the logits of a layer by the framework's own products, in a dtype."""
    xp = xentropy.backend_of(hidden).xp
    real = getattr(xp, dtype)
    hidden, weight = xp.astype(hidden, real), xp.astype(weight, real)
    z = xp.reshape(hidden, (-1, hidden.shape[-1])) @ xp.permute_dims(weight, (1, 0))
    if bias is not None:
        z = z + xp.reshape(xp.astype(bias, real), (1, -1))
    z = scale * z
    u = None if softcap is None else xp.tanh(z / softcap)
    x = z if u is None else softcap * u
    logits = xp.reshape(x, (*hidden.shape[:-1], weight.shape[0]))
    return Held(logits, hidden, weight, u, scale)
