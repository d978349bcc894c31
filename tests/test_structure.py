"""The shape of the code: what the parts promise each other, and how large they may be."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xentropy
from xentropy._types import Namespace
from xentropy.dispatch import AutodiffBackend, Backend
from xentropy.testing import Harness

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "src" / "xentropy"
TESTS = ROOT / "tests"
ROOMS = sorted(path.parent for path in (ROOT / "backends").glob("xentropy_backends/*/adapter.py"))


# --- the namespace ----------------------------------------------------------------------------


def protocol() -> set[str]:
    """The names that a namespace is to offer."""
    functions = {name for name in vars(Namespace) if not name.startswith("_")}
    return functions | set(Namespace.__annotations__)


def names_used(source: str) -> set[str]:
    """The attributes of ``xp`` that a source reads; ``getattr(xp, dtype)`` reads both floats."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "xp":
            found.add(node.attr)
        if isinstance(node, ast.Call) and ast.unparse(node).startswith("getattr(xp,"):
            found |= {"float32", "float64"}
    return found


def used(paths: Iterable[Path]) -> set[str]:
    sources = [path.read_text(encoding="utf-8") for path in paths]
    return set().union(*(names_used(source) for source in sources))


def test_the_formulas_use_the_protocol_and_all_of_it() -> None:
    steps = CORE / "_steps.py"
    assert used([*(CORE / "formulas").glob("*.py"), steps]) == protocol()


def test_the_rest_of_the_core_uses_no_more() -> None:
    outside = [path for path in CORE.rglob("*.py") if "formulas" not in path.parts]
    assert used(outside) <= protocol()


def test_the_names_are_found() -> None:
    source = (
        "def f(xp, x):\n    y = xp.exp(x)\n    return getattr(xp, d), xp.linalg.norm(y), x.xp\n"
    )
    assert names_used(source) == {"exp", "linalg", "float32", "float64"}


def test_a_namespace_offers_the_protocol(harness: Harness) -> None:
    x = harness.array(np.zeros(1, np.float32))
    backend = xentropy.backend_of(x)
    dtypes = {backend.index_dtype(x), backend.accumulator(x)}
    missing = {name for name in protocol() | dtypes if not hasattr(backend.xp, name)}
    assert missing == set()


# --- the adapters -----------------------------------------------------------------------------


def parameters(function: ast.FunctionDef) -> str:
    """The parameters of a method without their annotations."""
    for argument in ast.walk(function.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return ast.unparse(function.args)


BASES = ("Backend", "AutodiffBackend")


def methods(path: Path, derived: bool) -> dict[str, str]:
    """The methods of the classes derived from `BASES`, or of these themselves."""
    return {
        method.name: parameters(method)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(
            name in BASES for name in (map(ast.unparse, node.bases) if derived else [node.name])
        )
        for method in node.body
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("__")
    }


def overrides(room: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in room.glob("*.py"):
        found |= methods(path, derived=True)
    return found


BACKEND = methods(CORE / "dispatch.py", derived=False)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_an_override_has_the_signature_of_what_it_overrides(room: Path) -> None:
    found = {name: text for name, text in overrides(room).items() if not name.startswith("_")}
    assert found
    assert {name: BACKEND.get(name) for name in found} == found


def test_the_signatures_are_found(tmp_path: Path) -> None:
    (tmp_path / "adapter.py").write_text(
        "class A(Backend):\n"
        "    def concrete(self, x: int, sync: bool = False) -> None: ...\n"
        "    def owns(self, x): ...\n"
    )
    found = overrides(tmp_path)
    assert found["owns"] == BACKEND["owns"] == "self, x"
    assert found["concrete"] != BACKEND["concrete"] == "self, x, *, sync=False"


# What a backend has for speed and for its framework's compilers, beside what every one has.
BEYOND = (
    "compiled.py",
    "devices.py",
    "graphs.py",
    "kernels.py",
    "layered.py",
    "linear.py",
    "namespace.py",
    "rows.py",
    "rules.py",
    "tiles.py",
    "ways.py",
)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_backend_is_small(room: Path) -> None:
    files = [path for path in room.glob("*") if path.suffix in (".py", ".toml", ".txt")]
    assert len(files) <= 8 + sum((room / name).exists() for name in BEYOND)
    lines = [
        line
        for name in ("adapter.py", "namespace.py")
        if (room / name).exists()
        for line in (room / name).read_text(encoding="utf-8").splitlines()
    ]
    assert 0 < len(lines) <= 400


@pytest.mark.parametrize(
    "path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE))
)
def test_a_module_says_what_it_is_and_what_it_exports(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    if len(tree.body) > 1 and not path.name.startswith("__"):
        names = [ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)]
        assert "__all__" in names


# --- the public functions ---------------------------------------------------------------------

SOFTMAX = "class_weight=None, class_mask=None, label_smoothing=0.0, z_loss=0.0"
COMMON = "sample_weight=None, where=None, reduction='none', denominator=None"
SIGNATURES = {
    "cross_entropy": f"logits, labels, *, axis=-1, ignore_index=None, {SOFTMAX}, {COMMON}",
    "softmax_cross_entropy": f"logits, labels, *, axis=-1, {SOFTMAX}, {COMMON}",
    "sparse_softmax_cross_entropy": (
        f"logits, labels, *, axis=-1, ignore_index=None, {SOFTMAX}, {COMMON}"
    ),
    "sigmoid_cross_entropy": (f"logits, labels, *, pos_weight=None, label_smoothing=0.0, {COMMON}"),
    "weighted_sigmoid_cross_entropy": f"logits, labels, pos_weight, *, {COMMON}",
    "binary_cross_entropy": f"probs, labels, *, label_smoothing=0.0, {COMMON}",
    "categorical_cross_entropy": (
        f"probs, labels, *, axis=-1, class_weight=None, label_smoothing=0.0, {COMMON}"
    ),
    "sparse_categorical_cross_entropy": (
        "probs, labels, *, axis=-1, ignore_index=None, class_weight=None, label_smoothing=0.0, "
        f"{COMMON}"
    ),
    "sigmoid_focal_cross_entropy": (
        f"logits, labels, *, alpha=None, gamma=2.0, label_smoothing=0.0, {COMMON}"
    ),
    "softmax_focal_cross_entropy": (
        f"logits, labels, *, axis=-1, alpha=None, gamma=2.0, ignore_index=None, {COMMON}"
    ),
    "poly_cross_entropy": (
        f"logits, labels, *, epsilon=1.0, axis=-1, ignore_index=None, {SOFTMAX}, {COMMON}"
    ),
    "kl_divergence": f"logits, labels, *, axis=-1, temperature=1.0, {COMMON}",
    "squared_error": f"predictions, targets, *, {COMMON}",
    "absolute_error": f"predictions, targets, *, {COMMON}",
    "log_cosh": f"predictions, targets, *, {COMMON}",
    "huber": f"predictions, targets, *, delta=1.0, {COMMON}",
    "smooth_l1": f"predictions, targets, *, beta=1.0, {COMMON}",
    "mean_squared_error": "predictions, targets, *, sample_weight=None, where=None",
    "mean_absolute_error": "predictions, targets, *, sample_weight=None, where=None",
    "linear_cross_entropy": (
        "hidden, weight, labels, *, bias=None, softcap=None, scale=1.0, ignore_index=None, "
        f"max_memory=67108864, {SOFTMAX}, {COMMON}"
    ),
    "logsumexp": "x, *, axis=-1, where=None, keepdims=False",
    "log_softmax": "x, *, axis=-1, where=None",
    "softmax_statistics": (
        "logits, labels, *, outputs, axis=-1, class_mask=None, ignore_index=None, scale=1.0"
    ),
    "linear_softmax_statistics": (
        "hidden, weight, labels, *, outputs, bias=None, softcap=None, class_mask=None, "
        "ignore_index=None, scale=1.0, max_memory=67108864"
    ),
    "value_and_grad": "loss, argnums=0",
    "backend_of": "x",
    "register_backend": "framework, backend",
    "strict": "",
}


def signature(function: Any) -> str:
    found = inspect.signature(function)
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    return str(inspect.Signature(plain))[1:-1]


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_the_signatures_are_those_of_the_specification(name: str) -> None:
    assert signature(getattr(xentropy, name)) == SIGNATURES[name]


def test_every_public_function_is_in_the_table() -> None:
    functions = {n for n in xentropy.__all__ if inspect.isfunction(getattr(xentropy, n))}
    assert functions == set(SIGNATURES)


def test_the_public_names_are_sorted_and_complete() -> None:
    assert list(xentropy.__all__) == sorted(xentropy.__all__)
    own = {
        name
        for name, value in vars(xentropy).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    assert own == set(xentropy.__all__)


def test_every_method_of_a_backend_is_documented() -> None:
    both = {**vars(Backend), **vars(AutodiffBackend)}
    public = {k: v for k, v in both.items() if inspect.isfunction(v) and k[0] != "_"}
    assert set(public) == {name for name in BACKEND if not name.startswith("_")}
    assert all(inspect.getdoc(method) for method in public.values())


# --- the tests ----------------------------------------------------------------------------------

ASSERTS = re.compile(r"pytest\.(raises|warns)|(.+\.)?assert_\w+")


def asserts(function: ast.FunctionDef) -> bool:
    """Whether an ``assert``, ``pytest.raises`` or call of an ``assert_...`` stands in the body."""
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and ASSERTS.fullmatch(ast.unparse(node.func)) is not None)
        for node in ast.walk(function)
    )


def silent(source: str) -> list[str]:
    """The tests, and the helpers that a test asserts by, in whose body nothing is asserted."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith(("test_", "assert_"))
        and not asserts(node)
    ]


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS))
)
def test_every_test_asserts_in_its_body(path: Path) -> None:
    assert silent(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("assert f(x)", False),
        ("with pytest.raises(ValueError):\n        f(x)", False),
        ("for x in xs:\n        asserts.assert_close(f(x), 1)", False),
        ("f(x)", True),
        ("check(f(x), 1)", True),
        ("try:\n        f(x)\n    except ValueError:\n        pass", True),
    ],
)
@pytest.mark.parametrize("name", ["test_it", "assert_it"])
def test_a_test_that_asserts_nothing_is_found(name: str, body: str, found: bool) -> None:
    assert silent(f"def {name}(x):\n    {body}\n") == [name] * found


def test_tensorflow_can_read_it() -> None:
    """AutoGraph, which `tf.function` runs over what it calls, warns of an assignment within."""
    for file in CORE.rglob("*.py"):
        if "kernels" in file.parts or "parity" in file.parts or "bench" in file.parts:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not any(isinstance(node, ast.NamedExpr) for node in ast.walk(tree)), file
