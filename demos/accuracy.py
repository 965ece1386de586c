"""See how exact values and derivatives are, from 1e-300 to 1e300: chainrule beside PyTorch, JAX and autograd.

Every operation is tried at points of all magnitudes, and closer and closer to its domain's edges, poles, kinks, zeros
and overflow. mpmath says, with 50 digits, what each value and first derivative should be; where that is a normal
double, a relative error above 1e-12 counts. Exit status 1 if chainrule has one.
"""

import argparse
import itertools
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from needed import needed

with needed("matplotlib", "mpmath"):
    from chainrule import PRIMITIVES
    from chainrule.testing.exact import relative_error
    from chainrule.testing.whole_range import COMPOSITES, scan, value_error
    from chainrule.viz.theme import LIGHT
    from matplotlib.figure import Figure
    from mpmath import mp  # noqa: F401  # exact values need it: asked for before the long run
    from tqdm import tqdm

ROWS = {row.name: row for row in (*PRIMITIVES.values(), *COMPOSITES)}
TOLERANCE = 1e-12
PEERS = ("torch", "jax", "autograd")

Columns = Sequence[Sequence[float]]


class Point(NamedTuple):
    """What a function should give at a point, and chainrule's error there."""

    arguments: tuple[float, ...]
    exact: dict[tuple[int, ...], Any]  # () the value, (i,) the derivative by argument i
    error: float


def examine(task: tuple[str, int, int]) -> list[Point]:
    """Scan one function: the task of each process."""
    name, count, seed = task
    points = []
    for arguments, found in scan(ROWS[name], count, seed=seed):
        points.append(Point(arguments, {item.by: item.exact for item in found}, max(item.error for item in found)))
    return points


# ---- the other libraries: each finds a function by our name, and runs it on columns of arguments ----


class Torch:
    """PyTorch in double precision."""

    def __init__(self) -> None:
        import torch

        self.torch = torch
        functional, special = torch.nn.functional, torch.special
        self.modules = (torch, functional, special)
        stacked: dict[str, Callable[..., Any]] = {
            "sum": lambda xs: xs.sum(0),
            "mean": lambda xs: xs.mean(0),
            "norm": lambda xs: torch.linalg.vector_norm(xs, dim=0),
            "logsumexp": lambda xs: torch.logsumexp(xs, 0),
            "softmax": lambda xs: functional.softmax(xs, 0)[0],
            "log_softmax": lambda xs: functional.log_softmax(xs, 0)[0],
        }
        self.own: dict[str, Callable[..., Any] | None] = {
            "degrees": torch.rad2deg,
            "radians": torch.deg2rad,
            "clip": lambda x, low, high: torch.clamp(x, low, high),
            "where": lambda condition, x, y: torch.where(condition != 0, x, y),
            "normal_cdf": special.ndtr,
            "log_sigmoid": functional.logsigmoid,
            "dot": lambda a, b, c, d: a * c + b * d,
            "fma": lambda x, y, z: x * y + z,
            # Other functions by these names, or other arguments.
            **dict.fromkeys(("elu", "celu", "leaky_relu", "polygamma", "norm"), None),
            **{name: lambda *xs, f=f: f(torch.stack(xs)) for name, f in stacked.items()},
        }

    def run(self, function: Callable[..., Any], columns: Columns) -> tuple[Any, list[Any]]:
        xs = [self.torch.tensor(column, dtype=self.torch.float64, requires_grad=True) for column in columns]
        values = function(*xs)
        if not values.requires_grad:
            return values.tolist(), [[0.0] * len(columns[0])] * len(columns)
        partials = self.torch.autograd.grad(values.sum(), xs, allow_unused=True, materialize_grads=True)
        return values.tolist(), [partial.tolist() for partial in partials]


class NumpyLike:
    """What JAX and autograd have in common: NumPy's names."""

    def __init__(self, np: Any, special: Any, *modules: ModuleType) -> None:
        self.np, self.special = np, special
        self.modules = (np, special, *modules)
        aliases = {
            "acos": "arccos",
            "acosh": "arccosh",
            "asin": "arcsin",
            "asinh": "arcsinh",
            "atan": "arctan",
            "atan2": "arctan2",
            "atanh": "arctanh",
            "div": "divide",
            "mul": "multiply",
            "neg": "negative",
            "sub": "subtract",
            "pow": "power",
            "lgamma": "gammaln",
            "remainder": "mod",
            "normal_cdf": "ndtr",
        }
        self.own: dict[str, Callable[..., Any] | None] = {name: self.find(other) for name, other in aliases.items()}
        self.own |= {
            "where": lambda condition, x, y: np.where(condition != 0, x, y),
            "dot": lambda a, b, c, d: a * c + b * d,
            "fma": lambda x, y, z: x * y + z,
            "sum": lambda *xs: np.sum(np.stack(xs), axis=0),
            "mean": lambda *xs: np.mean(np.stack(xs), axis=0),
            "norm": lambda *xs: np.linalg.norm(np.stack(xs), axis=0),
            "logsumexp": lambda *xs: special.logsumexp(np.stack(xs), axis=0),
            "polygamma": None,
        }

    def find(self, name: str) -> Callable[..., Any] | None:
        return next((getattr(module, name) for module in self.modules if hasattr(module, name)), None)


class Jax(NumpyLike):
    """JAX with 64 bits, on the processor."""

    def __init__(self) -> None:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax = jax
        super().__init__(jax.numpy, jax.scipy.special, jax.nn, jax.lax)
        self.own |= {
            "gelu": lambda x: jax.nn.gelu(x, approximate=False),
            "softsign": jax.nn.soft_sign,
            "hardtanh": jax.nn.hard_tanh,
            "normal_pdf": jax.scipy.stats.norm.pdf,
            "softmax": lambda *xs: jax.nn.softmax(jax.numpy.stack(xs), axis=0)[0],
            "log_softmax": lambda *xs: jax.nn.log_softmax(jax.numpy.stack(xs), axis=0)[0],
        }

    def run(self, function: Callable[..., Any], columns: Columns) -> tuple[Any, list[Any]]:
        values, pull = self.jax.vjp(function, *[self.np.array(column) for column in columns])
        return values.tolist(), [partial.tolist() for partial in pull(self.np.ones_like(values))]


class Autograd(NumpyLike):
    """HIPS autograd."""

    def __init__(self) -> None:
        import autograd
        from autograd.scipy import special, stats

        self.make_vjp = autograd.make_vjp
        super().__init__(autograd.numpy, special)
        self.own |= {"sigmoid": special.expit, "normal_pdf": stats.norm.pdf, "normal_cdf": stats.norm.cdf}
        # The derivative of its digamma asks for zeta at negative numbers, which does not return.
        self.own["digamma"] = None

    def run(self, function: Callable[..., Any], columns: Columns) -> tuple[Any, list[Any]]:
        xs = [self.np.array(column) for column in columns]
        partials = []
        for position in range(len(xs)):
            pull, values = self.make_vjp(function, position)(*xs)
            partials.append(pull(self.np.ones_like(values)).tolist())
        return values.tolist(), partials


def load(names: Sequence[str]) -> dict[str, Any]:
    """Import the other libraries, as far as they are installed."""
    loaded: dict[str, Any] = {}
    for name, peer in zip(PEERS, (Torch, Jax, Autograd), strict=True):
        try:
            if name in names:
                loaded[name] = peer()
        except ImportError:
            print(f"{name} is not installed")
    return loaded


def errors_of(peer: Any, name: str, points: Sequence[Point]) -> list[float] | None:
    """Return another library's greatest error at each point; None if it lacks the function or derivative."""
    function = peer.own[name] if name in peer.own else NumpyLike.find(peer, name)
    if function is None:
        return None
    try:
        values, partials = peer.run(function, list(zip(*[point.arguments for point in points], strict=True)))
    except Exception:
        # A function without a derivative, or with other arguments: each library has its own exception for it.
        return None
    errors = []
    for k, point in enumerate(points):
        off = [
            relative_error(exact, partials[by[0]][k])
            if by
            else value_error(ROWS[name], point.arguments, exact, values[k])
            for by, exact in point.exact.items()
        ]
        errors.append(max((error for error in off if error is not None), default=0.0))
    return errors


# ---- the table and the picture ----


def share(errors: Sequence[float] | None) -> str:
    if errors is None:
        return "–"
    return f"{100 * sum(not error <= TOLERANCE for error in errors) / len(errors):.1f} %"


def table(errors: dict[str, dict[str, list[float] | None]], points: dict[str, list[Point]]) -> Iterator[str]:
    """Yield a line for each function: points, share beyond the tolerance by library, chainrule's worst point."""
    width = max(map(len, points))
    head = "".join(f"{name:>11}" for name in errors)
    yield f"{'':{width}}  points{head}   chainrule's greatest error, and where"
    for name, found in points.items():
        shares = "".join(f"{share(own[name]):>11}" for own in errors.values())
        worst = max(found, key=lambda point: point.error)
        where = ", ".join(f"{x:.17g}" for x in worst.arguments)
        # The definition itself carries 50 digits.
        greatest = f"{worst.error:.1e} at ({where})" if worst.error > 1e-40 else "none"
        yield f"{name:{width}}  {len(found):6}{shares}   {greatest}"
    total = sum(map(len, points.values()))
    everything = {peer: [error for found in own.values() if found for error in found] for peer, own in errors.items()}
    shares = "".join(f"{share(found) if found else '–':>11}" for found in everything.values())
    yield f"{'together':{width}}  {total:6}{shares}   {len(points)} functions"


def draw(errors: dict[str, dict[str, list[float] | None]], path: Path) -> None:
    """Save a chart of the share of points whose error exceeds a given one."""
    figure = Figure(figsize=(7, 4.5), layout="constrained", facecolor=LIGHT.background)
    axes = figure.subplots()
    # Ours in orange and last, on top of the others; those are told apart by their dashes, too.
    blue, orange = LIGHT.cards["input"]["color"], LIGHT.cards["root"]["color"]
    styles = itertools.cycle([(blue, "-"), (LIGHT.path, "--"), (LIGHT.quiet, "-."), (blue, ":"), (LIGHT.path, ":")])
    for peer, own in sorted(errors.items(), key=lambda item: item[0] == "chainrule"):
        colour, dashes = (orange, "-") if peer == "chainrule" else next(styles)
        found = sorted((min(error, 1e3) for errors in own.values() if errors for error in errors), reverse=True)
        if found:
            axes.step(
                [max(error, 1e-18) for error in found],
                [100 * (k + 1) / len(found) for k in range(len(found))],
                label=peer,
                where="post",
                color=colour,
                linestyle=dashes,
                linewidth=2.4 if peer == "chainrule" else 1.6,
            )
    axes.axvline(TOLERANCE, color=LIGHT.line, linestyle="--", label="bound of the tests")
    axes.set(xscale="log", yscale="log", xlim=(1e-17, 1e1), ylim=(1e-3, 100))
    axes.set(
        title="How exact derivatives are, over the whole range of doubles",
        xlabel="relative error",
        ylabel="% of points with a greater one",
    )
    axes.grid(color=LIGHT.line, alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), edgecolor=LIGHT.line)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=500, help="how many for each function (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=ROWS, help="which functions (default: all)")
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS, help="beside which libraries")
    parser.add_argument("--seed", type=int, default=0, help="other points for another number")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many processes (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="5 points for each function, beside PyTorch alone")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.points, arguments.peers = 5, ("torch",)

    names = arguments.only or list(ROWS)
    tasks = [(name, arguments.points, arguments.seed) for name in names]
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as processes:
        results = processes.map(examine, tasks)
        points = dict(zip(names, tqdm(results, total=len(tasks), desc="mpmath", unit="function"), strict=True))

    errors: dict[str, dict[str, list[float] | None]]
    errors = {"chainrule": {name: [point.error for point in found] for name, found in points.items()}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, peer in load(arguments.peers).items():
            functions = tqdm(points.items(), desc=name, unit="function")
            errors[name] = {function: errors_of(peer, function, found) for function, found in functions}
    print("\n".join(table(errors, points)))
    path = Path("out/accuracy.png")
    draw(errors, path)
    print(f"picture: {path}")
    return int(any(not error <= TOLERANCE for found in errors["chainrule"].values() for error in found or ()))


if __name__ == "__main__":
    with needed():
        raise SystemExit(main())
