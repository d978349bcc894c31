"""Other dtypes beside float32, on NumPy and PyTorch."""

from __future__ import annotations

from dataclasses import replace

from xentropy.bench.case import Ask, Case, Run

from .shapes import LARGE, LITTLE, faster, title, within

__all__ = ["CASES"]

# No slower, and without a copy of the logits in float32.
ASKED: dict[str, tuple[Ask, float | None]] = {
    "float16": (faster(1), LITTLE),
    "bfloat16": (faster(1), LITTLE),
    "float64": (within(2.5), None),
}


def beside_float32(framework: str, dtype: str, gradient: bool) -> Case:
    plain = Run(
        shape=LARGE, gradient=gradient, reduction="mean" if framework == "torch" else "none"
    )
    ask, memory = ASKED[dtype]
    name = f"{dtype} beside float32, {title(plain, framework)}"
    return Case(name, framework, (replace(plain, dtype=dtype), plain), ask, memory=memory)


CASES = tuple(
    beside_float32(framework, dtype, gradient)
    for framework in ("numpy", "torch")
    for dtype in ASKED
    for gradient in (False, True)
)
