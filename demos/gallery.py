"""Make every kind of picture that chainrule draws, light and dark: graphs from three nodes to a million, and pages."""

import argparse
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from needed import needed

with needed("matplotlib"):
    import chainrule as cr
    from chainrule import Var, nn, viz
    from matplotlib.figure import Figure

OUT = Path("out")
THEMES = ("light", "dark")


def both(name: str, root: object, **options: object) -> list[Path]:
    """Draw a graph in both themes and return the files."""
    return [viz.render(root, OUT / f"{name}_{theme}.svg", theme=theme, **options) for theme in THEMES]


def tutorial() -> Var:
    """Compute (x**2 + 3)**2 + y at 2 and 3, and its gradients."""
    x, y = Var(2.0, label="x"), Var(3.0, label="y")
    z = (x**2 + 3) ** 2 + y
    z.label = "z"
    z.backward()
    return z


def network_loss(samples: int = 1) -> Var:
    """Compute the loss of a network 2-4-1 on some points, and its gradients."""
    model = nn.MLP(2, [4, 1], activation="tanh", seed=3)
    rows = [
        [Var(0.5 + 0.1 * k, label="x1", requires_grad=False), Var(0.05 * k - 1, label="x2", requires_grad=False)]
        for k in range(samples)
    ]
    loss = nn.mse([model(row) for row in rows], [1.0] * samples)
    loss.label = "loss"
    loss.backward()
    return loss


# ---- small graphs ----


def product() -> list[Path]:
    """Draw three nodes before any gradient is known, which is not the same as a gradient of 0."""
    return both("product", Var(2.0, label="x") * Var(3.0, label="y"))


def expression() -> list[Path]:
    """Draw the example of the README: values, gradients, and the partials at the edges."""
    return both("expression", tutorial())


def formats() -> list[Path]:
    """Draw the example from top to bottom, as PNG and as PDF."""
    return [viz.render(tutorial(), OUT / f"expression.{kind}", direction="TB") for kind in ("png", "pdf")]


def paths() -> list[Path]:
    """Mark every path from x to the result, with the product of partials along each."""
    x, y = Var(0.5, label="x"), Var(2.0, label="y")
    z = cr.sin(x) * y + x * y
    z.label = "z"
    z.backward()
    return both("paths", z, highlight=x)


def reductions() -> list[Path]:
    """Draw a softmax and a dot product."""
    scores = [Var(float(k), label=f"s{k}") for k in (1, 2, 3)]
    loss = -cr.log(cr.softmax(scores)[1]) + cr.dot(scores, [0.5, -0.25, 2.0])
    loss.label = "loss"
    loss.backward()
    return both("reductions", loss)


def extremes() -> list[Path]:
    """Draw infinities, nan, gradients of 0, and gradients of very different size."""
    x, y, z = Var(float("inf"), label="x"), Var(0.0, label="y"), Var(-3.0, label="z")
    total = x * y + cr.log(y) + 1e-3 * cr.relu(z) + 1e6 * cr.sin(z)
    total.backward()
    return both("extremes", total)


def labels() -> list[Path]:
    """Draw labels that are markup, long, of several lines, or in other scripts: all of them stay text."""
    names = ["<script>alert(1)</script>", "a & b", "\"quoted\" 'x'", "two\nlines", "é ∂L/∂w 漢字", "w" * 60]
    total = cr.sum([Var(1.0, label=name) for name in names])
    total.label = "\\N & <b>"
    return both("labels", total)


# ---- networks ----


def neuron() -> list[Path]:
    """Draw one neuron: a weighted sum and its activation, in a frame."""
    unit = nn.Neuron(2, activation="tanh", seed=1)
    out = unit([Var(0.5, label="x1"), Var(-1.0, label="x2")])
    out.label = "out"
    out.backward()
    return both("neuron", out, module=unit)


def network() -> list[Path]:
    """Draw a network 2-4-1 in full: layers and neurons are framed, and name their parameters."""
    return both("network", network_loss())


def model() -> list[Path]:
    """Draw a trained model itself: weights as lines, and what each neuron makes of both inputs; then its gradients."""
    corners, targets = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    xor = nn.MLP(2, [4, 3, 1], output_activation="sigmoid", seed=2)
    nn.fit(xor, corners, targets, loss="binary_cross_entropy", lr=0.05, epochs=150, seed=0)
    xor.zero_grad()
    nn.binary_cross_entropy([xor(row) for row in corners], targets).backward()
    return both("model", xor, inputs=corners) + both("model_gradients", xor, inputs=corners, by="gradient")


def folded() -> list[Path]:
    """Draw the network folded: each neuron, each layer, and the whole to one box."""
    names = {"neuron": "neurons", "layer": "layers", "module": "module"}
    return [path for level, name in names.items() for path in both(name, network_loss(), collapse=level)]


def batch() -> list[Path]:
    """Draw the loss over 100 samples: equal parts are one box with a count."""
    return both("batch", network_loss(100))


# ---- large graphs ----


def chain(nodes: int) -> list[Path]:
    """Draw a long chain: its far end is summed up."""
    x = Var(0.5, label="x")
    y = x
    for k in range(nodes // 2):
        y = cr.sin(y) if k % 2 else y * 1.5
    y.backward()
    return both("chain", y)


def summary(nodes: int) -> list[Path]:
    """Draw a large network with neurons written out as products and sums: layers with their counts."""
    model = nn.MLP(8, [32, 32, 1], activation="tanh", seed=1)

    def written_out(unit: nn.Neuron, xs: list[Var | float]) -> Var:
        total = unit.bias
        for weight, x in zip(unit.weights, xs, strict=True):
            total = total + weight * x
        return cr.tanh(total)

    losses = []
    for sample in range(max(1, nodes // 2950)):  # nodes for each sample
        xs: list[Var | float] = [0.1 * ((7 * sample + k) % 13) for k in range(8)]
        for layer in model.layers:
            xs = [written_out(unit, xs) for unit in layer.neurons]
        losses.append((xs[0] - 0.5) ** 2)
    loss = cr.mean(losses)
    loss.label = "loss"
    loss.backward()
    return both("summary", loss)


# ---- programs and pages ----


def program() -> list[Path]:
    """Draw a traced function, which has no numbers yet, and a loop, which is one box with its number of rounds."""
    wave = cr.trace(lambda w, x: cr.tanh(cr.dot(w, x)) ** 2, [0.5, -0.5], [1.0, 2.0])
    loop = cr.trace(lambda x: cr.scan(lambda y, _: (cr.sin(y) * 1.5, None), x, None, length=100)[0] * 2, 0.5)
    return both("program", wave) + both("loop", loop)


def compiled() -> list[Path]:
    """Draw a compiled function: a loss and its derivatives."""
    step = cr.compile(cr.value_and_grad(lambda w, x, y: cr.square(cr.tanh(cr.dot(w, x)) - y)), backend="python")
    step([0.3, -0.2], [1.0, 2.0], 0.5)
    return both("compiled", step)


def page() -> list[Path]:
    """Write the page that steps through both passes."""
    return [viz.explain(tutorial(), OUT / "steps.html")]


# ---- trainings ----


def sine() -> nn.History:
    """Fit a wave through noisy points, and keep what pictures need."""
    source = random.Random(0)
    xs = [source.uniform(-2, 2) for _ in range(80)]
    ys = [cr.sin(2 * x) + source.gauss(0, 0.1) for x in xs]
    model = nn.MLP(1, [8, 8, 1], seed=0)
    return nn.fit(model, xs, ys, lr=0.02, epochs=100, batch_size=8, validation=0.2, seed=0, record=True)


def rings() -> nn.History:
    """Separate three concentric rings of points."""
    rows, classes = [], []
    for k in range(90):
        turn, ring = 2.4 * k, k % 3
        rows.append([(1 + ring) * math.cos(turn), (1 + ring) * math.sin(turn)])
        classes.append(ring)
    model = nn.MLP(2, [12, 3], seed=0)
    return nn.fit(model, rows, classes, loss="cross_entropy", lr=0.05, epochs=60, seed=0, record=True)


def plotted(name: str, plot: Callable[..., Any], *args: Any, **options: Any) -> list[Path]:
    """Draw a plot in both themes and return the files."""
    files = []
    for theme in THEMES:
        figure = Figure(figsize=(6.4, 4.4), layout="constrained", facecolor="white" if theme == "light" else "#14181f")
        plot(*args, ax=figure.subplots(), theme=theme, **options)
        files.append(OUT / f"{name}_{theme}.png")
        figure.savefig(files[-1], dpi=110)
    return files


def plots() -> list[Path]:
    """Plot a training: losses, the curve before and after, a border, gradients by layer, the path over a loss."""
    wave, borders = sine(), rings()
    names = ("layers.0.neurons.0.weights.0", "layers.2.neurons.0.weights.0")
    units = {"xlabel": "time (s)", "ylabel": "height (m)"}
    return [
        *plotted("history", viz.plot_history, wave, ylabel="mean squared error (m²)"),
        *plotted("fit", viz.plot_fit, wave, **units),
        *plotted("boundary", viz.plot_decision_boundary, borders),
        *plotted("gradients", viz.plot_gradients, wave),
        *plotted("surface", viz.plot_surface, nn.mse, wave, names),
    ]


def films(frames: int) -> list[Path]:
    """Animate the curve and the border, as GIF and as a page."""
    trainings = {"curve": sine(), "rings": rings()}
    return [
        viz.animate(history, OUT / f"{name}{kind}", max_frames=frames)
        for name, history in trainings.items()
        for kind in (".gif", ".html")
    ]


SMALL = (
    product, expression, formats, paths, reductions, extremes, labels, neuron, network, model, folded, batch, program,
    compiled, page, plots, films,
)  # fmt: skip
LARGE = (chain, summary)
MAKERS: dict[str, Callable[..., list[Path]]] = {maker.__name__: maker for maker in (*SMALL, *LARGE)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=MAKERS, default=MAKERS, help=", ".join(MAKERS))
    parser.add_argument("--nodes", type=int, default=1_000_000, help="of the large graphs (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=30, help="of the films (default: %(default)s)")
    options = parser.parse_args()
    sizes = {maker.__name__: options.nodes for maker in LARGE} | {"films": options.frames}
    OUT.mkdir(exist_ok=True)
    for name in options.only:
        maker = MAKERS[name]
        print(f"{name}: {maker.__doc__}")
        for path in maker(sizes[name]) if name in sizes else maker():
            print(f"  {path}")


if __name__ == "__main__":
    with needed():
        main()
