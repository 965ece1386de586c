"""Measure how exact derivatives are over the whole range of doubles, beside torch, JAX and autograd.

Every function is differentiated at points of all magnitudes, many of them close to the edges of its domain, its poles,
kinks, overflow and zeros, and compared with mpmath wherever the true value and derivative are normal doubles.
"""

import argparse
import importlib
import math
import os
import sys
import warnings
from pathlib import Path

import chainrule
from chainrule import PRIMITIVES
from chainrule.exact import relative_error
from chainrule.scanning import COMPOSITES, scan
from tqdm import tqdm

BOUND = 1e-12
# What a function is called elsewhere, where neither our name nor NumPy's is right.
ALIASES = {
    "degrees": "rad2deg",
    "radians": "deg2rad",
    "lgamma": "gammaln",
    "log_sigmoid": "logsigmoid",
    "normal_cdf": "ndtr",
    "neg": "negative",
}
REFERENCES = {
    "torch": ("torch", "torch.special", "torch.nn.functional"),
    "jax": ("jax.numpy", "jax.nn", "jax.scipy.special"),
    "autograd": ("autograd.numpy", "autograd.scipy.special"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=500, help="points for each function (default 500)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these functions only")
    parser.add_argument("--quick", action="store_true", help="six functions, 30 points each")
    options = parser.parse_args()
    rows = {row.name: row for row in (*PRIMITIVES.values(), *COMPOSITES)}
    names = options.only or (["exp", "tanh", "expm1", "div", "gelu", "softmax"] if options.quick else list(rows))
    unknown = [name for name in names if name not in rows]
    if unknown:
        parser.error(f"--only expected names of functions but got {', '.join(unknown)}")
    count = 30 if options.quick else options.points

    os.environ["JAX_ENABLE_X64"] = "1"
    libraries = {library: load(modules) for library, modules in REFERENCES.items()}
    installed = [library for library, modules in libraries.items() if modules]
    print(f"chainrule {chainrule.__version__} beside {', '.join(installed) or 'no other library (none is installed)'}")
    print(f"share of first derivatives with a relative error above {BOUND:g}, at {count} points a function\n")
    print(f"{'function':16}{'points':>7}{'chainrule':>11}" + "".join(f"{library:>10}" for library in installed), end="")
    print("   worst point of chainrule")

    totals = {library: [0, 0] for library in ("chainrule", *installed)}
    wrong = {}
    points = 0
    for name in tqdm(names, unit="function", disable=None, leave=False):
        row = rows[name]
        found = list(scan(row, count))
        points += len(found)
        shares = {"chainrule": measure([d.error for _, deviations in found for d in deviations if d.by])}
        for library in installed:
            shares[library] = measure(errors_of(library, libraries[library], row, found))
        for library, share in shares.items():
            if share is not None:
                totals[library] = [a + b for a, b in zip(totals[library], share, strict=True)]
        wrong[name] = {library: share and share[0] / share[1] for library, share in shares.items()}
        tqdm.write(line(name, len(found), shares, worst(found)))
    print(line("all", points, totals, ""))
    draw(wrong, installed)
    return 1 if totals["chainrule"][0] else 0


def load(modules):
    """Import a library's modules; an empty list where it is not installed."""
    try:
        return [importlib.import_module(module) for module in modules]
    except ImportError:
        return []


def measure(errors):
    """Count the errors beyond the bound, and all; None where there are none to judge by."""
    return None if not errors else [sum(not error <= BOUND for error in errors), len(errors)]


def line(name, points, shares, remark):
    text = f"{name:16}{points:>7}"
    for library, share in shares.items():
        shown = f"{share[0] / share[1]:.1%}" if share and share[1] else "-"
        text += f"{shown:>{11 if library == 'chainrule' else 10}}"
    return f"{text}   {remark}"


def worst(found):
    """Name the point at which chainrule is furthest off."""
    deviations = [(d.error, point, d.by[0]) for point, list_ in found for d in list_ if d.by]
    if not deviations:
        return "no derivative to compare"
    error, point, position = max(deviations, key=lambda item: item[0])
    shown = ", ".join(f"{x:.6g}" for x in point)
    return f"{error:.1e} at ({shown})" + (f" by argument {position}" if len(point) > 1 else "")


def errors_of(library, modules, row, found):
    """Return the errors of another library's partials at the same points; none where it lacks the function."""
    function = find(modules, row)
    if function is None or row.arity > 2 or any(interval.integers for interval in row.domain):
        return []
    errors = []
    columns = list(zip(*[point for point, _ in found], strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for position in range(row.arity):
            try:
                got = DERIVATIVES[library](function, columns, position)
            except (TypeError, ValueError, NotImplementedError, AttributeError, RuntimeError):
                return []
            for (_, deviations), derivative in zip(found, got, strict=True):
                for deviation in deviations:
                    if deviation.by == (position,):
                        error = relative_error(deviation.exact, float(derivative))
                        errors.append(math.inf if error is None else error)
    return errors


def find(modules, row):
    names = (row.name, row.code.get("numpy", row.name), ALIASES.get(row.name, row.name))
    return next((getattr(module, name) for module in modules for name in names if hasattr(module, name)), None)


def by_torch(function, columns, position):
    import torch

    xs = [torch.tensor(column, dtype=torch.float64) for column in columns]
    xs[position].requires_grad_()
    function(*xs).sum().backward()
    return xs[position].grad.tolist()


def by_jax(function, columns, position):
    import jax
    import jax.numpy as jnp

    xs = [jnp.array(column) for column in columns]
    return jax.vmap(jax.grad(function, argnums=position))(*xs).tolist()


def by_autograd(function, columns, position):
    import autograd
    import autograd.numpy as anp

    return autograd.elementwise_grad(function, position)(*[anp.array(column) for column in columns]).tolist()


DERIVATIVES = {"torch": by_torch, "jax": by_jax, "autograd": by_autograd}


def draw(wrong, installed):
    """Draw the functions at which a library is furthest off; without matplotlib say so."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    def most(name):
        return max((wrong[name][library] or 0.0 for library in installed), default=0.0)

    names = sorted(wrong, key=most, reverse=True)[:25]
    libraries = ["chainrule", *installed]
    figure, axes = pyplot.subplots(figsize=(8, 0.6 + 0.32 * len(names)), layout="constrained")
    for k, library in enumerate(libraries):
        places = [place + 0.8 * k / len(libraries) for place in range(len(names))]
        shares = [100.0 * (wrong[name][library] or 0.0) for name in names]
        axes.barh(places, shares, height=0.8 / len(libraries), label=library)
    axes.set_yticks([place + 0.4 - 0.4 / len(libraries) for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlabel(f"points with a relative error above {BOUND:g} (%)")
    axes.set_title("First derivatives over the range of doubles")
    axes.legend()
    axes.grid(axis="x", alpha=0.3)
    path = Path("out") / "accuracy.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


if __name__ == "__main__":
    sys.exit(main())
