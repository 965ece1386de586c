"""What tests of several rooms share: the backends at hand, the rows, edges of the doubles, and how results compare."""

import importlib.util
import math
from concurrent.futures import Future, ThreadPoolExecutor

import chainrule as cr
import numpy as np
import pytest
from chainrule.data import flatten
from chainrule.programs import Loop, Structural
from hypothesis import assume

BACKENDS = ["python", "numpy", *(["llvm"] if importlib.util.find_spec("llvmlite") else [])]
ROWS = [pytest.param(row, id=name) for name, row in cr.PRIMITIVES.items() if not row.custom]
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 2.0, 3.0, 30.0, -30.0, 710.0, -746.0)
SPECIAL += (math.inf, -math.inf, math.nan, 5e-324, -1e-320, 1e-300, 1e300)


def special_points(arity):
    """List points for a row, each argument being every special number once."""
    shifted = SPECIAL[3:] + SPECIAL[:3]
    return list(zip(*[SPECIAL, shifted, SPECIAL[::-1], shifted[::-1]][:arity], strict=True))


def in_threads(*functions):
    """Call functions at the same time, each in a thread of its own; return their results, or raise what one raised."""
    with ThreadPoolExecutor(len(functions)) as pool:
        return [*map(Future.result, [pool.submit(f) for f in functions])]


# ---- results ----


def flat(result):
    """List the numbers of a result, whatever its structure."""
    return flatten(result, "", "")[0]


def same(x, y):
    """Return whether results are equal bit for bit; any nan equals any other."""
    return (math.isnan(x) and math.isnan(y)) or (x == y and math.copysign(1, x) == math.copysign(1, y))


def agree(found, expected, rel=1e-11, each=False):
    """Assert that results agree up to rounding of the greatest number in them, or with `each`, of every number."""
    found, expected = flat(found), flat(expected)
    assert len(found) == len(expected)
    least = 1e-306 if each else rel * max([1.0, *[abs(x) for x in expected if math.isfinite(x)]])
    for left, right in zip(found, expected, strict=True):
        near = math.isclose(left, right, rel_tol=rel, abs_tol=least)
        assert near or (left != left and right != right), (left, right)


def tame(expected):
    """Skip functions whose derivatives grow so much that rounding errors grow with them."""
    assume(not any(1e5 < abs(x) < math.inf for x in flat(expected)))
    return expected


# ---- functions and programs ----


def everything(f):
    """Return a function for value, gradient and one product with the Hessian."""

    def computed(*xs):
        places = tuple(range(len(xs)))
        seeds = tuple(np.full(np.shape(x), 0.5 + k) if np.ndim(x) else 0.5 + k for k, x in enumerate(xs))
        return [*cr.value_and_grad(f, places)(*xs), cr.hvp(f, xs, seeds)]

    return computed


def loops_of(program):
    """List all loops of a program, inner ones too."""
    found = [op for op, _ in program.steps if hasattr(op, "body")]
    return found + [inner for op in found for inner in loops_of(op.body)]


def computing(program):
    """List the rows and loops of a program, in order: not what only says where numbers stand."""
    return [op for op, _ in program.steps if isinstance(op, Loop) or not isinstance(op, Structural)]


def definition(row):
    """Return the function of mpmath that a row computes."""
    mp = pytest.importorskip("mpmath").mp
    return (lambda *xs: row.exact(mp, *xs)) if row.exact is not None else getattr(mp, row.name)


def kept_apart(*rows):
    """Take a module's own rows out of the table that other tests loop over; return a fixture that lends them."""
    own = {row.name: cr.PRIMITIVES.pop(row.name) for row in rows}

    @pytest.fixture(autouse=True)
    def own_rows(monkeypatch):
        for name, row in own.items():
            monkeypatch.setitem(cr.PRIMITIVES, name, row)

    return own_rows


# ---- pictures ----


def example():
    """Build the graph of the README's first picture."""
    x, y = cr.Var(2.0, label="x"), cr.Var(3.0, label="y")
    z = (x**2 + 3) ** 2 + y
    z.label = "z"
    return z
