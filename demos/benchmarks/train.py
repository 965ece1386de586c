"""Measure for `benchmark.py train`: training beside torch, scikit-learn, JAX, NumPy by hand and micrograd.

All run in this process, in turns, on one thread where a tool can be told so; times are of the processor (CPU) and of
the clock (wall), the least of all turns. Before epochs are timed, each tool takes the same steps from the same weights,
and a difference ends the run. What is compiled is kept nowhere beforehand: first times have all that it takes.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from chainrule import nn

from .peers import optional
from .training_peers import SIZE, ByHand, Contender, Jax, Measured, Torch, clock, take

TOLERANCE = 1e-9  # relative, between weights after the same steps


class Fit(Contender):
    """`nn.fit`, whose epochs are told apart by a callback."""

    name = "chainrule"

    def prepare(self) -> None:
        """Build the model and its optimiser."""
        self.model = nn.MLP(self.sizes[0], self.sizes[1:], activation="relu", seed=0)
        self.model.load_state_dict(dict(zip(self.model.state_dict(), self.start.tolist(), strict=True)))
        self.optimiser = nn.Adam(self.model.parameters(), lr=0.01)

    def epochs(self, count: int, shuffle: bool = True) -> list[Measured]:
        """Train, and return what each epoch took."""
        times = [clock()]
        nn.fit(
            self.model,
            self.x,
            self.y,
            optimiser=self.optimiser,
            batch_size=SIZE,
            epochs=count,
            shuffle=shuffle,
            compiled=True,
            after_epoch=lambda history: times.append(clock()),
        )
        return [after - before for before, after in itertools.pairwise(times)]

    def weights(self) -> Any:
        """Return all weights as one array."""
        return np.array([parameter.value for parameter in self.model.parameters()])


class Sklearn(Contender):
    """scikit-learn's network, which draws its own weights and order; so its numbers are not compared."""

    name = "scikit-learn"
    bar = 15.0

    def prepare(self) -> None:
        """Make the estimator."""
        network = optional("sklearn.neural_network")
        if network is None:
            raise ImportError("scikit-learn")
        options = {"batch_size": SIZE, "learning_rate_init": 0.01, "alpha": 0.0, "random_state": 0}
        self.network = network.MLPRegressor(hidden_layer_sizes=self.sizes[1:-1], **options)

    def epoch(self, order: Any) -> None:
        """Go through all samples once."""
        self.network.partial_fit(self.x, self.y)


def regression(samples: int, repeats: int) -> None:
    """An epoch of a regression, Adam."""
    sizes = [5, 10, 10, 1]
    source = np.random.default_rng(0)
    x = source.uniform(size=(samples, 5))
    y = x @ np.arange(1.0, 6.0) + 0.1 * source.normal(size=samples)
    start = np.array([p.value for p in nn.MLP(5, sizes[1:], activation="relu", seed=0).parameters()])
    few = 10 * SIZE + 7
    print(f"\nAn epoch of {samples:,} x 5, MLP 5-10-10-1, batches of {SIZE}, Adam (ms)")
    contenders: list[Contender] = []
    found = []
    for kind in (Fit, Torch, Sklearn, Jax, ByHand):
        try:
            trial = kind(sizes, x[:few], y[:few], start)
            contenders.append(kind(sizes, x, y, start))
        except ImportError as missing:
            print(f"  {kind.name:16} not installed: {missing}")
            continue
        if kind is not Sklearn:
            trial.epochs(2, shuffle=False)
            found.append((kind.name, trial.weights()))
    for name, weights in found[1:]:
        error = np.abs(weights - found[0][1]).max() / np.abs(weights).max()
        if not error <= TOLERANCE:
            sys.exit(f"{name} comes to other weights than {found[0][0]}: by {error:.1e}")
    firsts = [each.epochs(1)[0] for each in contenders]
    times: list[list[Measured]] = [[] for _ in contenders]
    for _ in range(repeats):
        for own, each in zip(times, contenders, strict=True):
            own += each.epochs(2)
    own_cpu = min(t.cpu for t in times[0])
    for each, first, own in zip(contenders, firsts, times, strict=True):
        cpu, wall = min(t.cpu for t in own), min(t.wall for t in own)
        words = f"   {cpu / own_cpu:6.1f} x" + (f", bar {each.bar:g}" if each.bar else "")
        print(f"  {each.name:16} CPU {1e3 * cpu:8.1f}  wall {1e3 * wall:8.1f}  first {1e3 * first.wall:8.1f}{words}")


def estimators(names: list[str], epochs: int) -> None:
    """Fit and score of small data, both estimators with the same options."""
    sklearn = optional("sklearn.neural_network")
    datasets = optional("sklearn.datasets")
    if sklearn is None or datasets is None:
        print("\nsmall data: scikit-learn is not installed")
        return
    for name in names:
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
        train, test = slice(0, None, 2), slice(1, None, 2)
        print(f"\n{name}: fit of {len(x[train])} samples for {epochs} epochs, score of {len(x[test])} (ms)")
        for title, kind in (("chainrule", nn.MLPClassifier), ("scikit-learn", sklearn.MLPClassifier)):
            for run in ("first", "again"):
                model = kind((32,), max_iter=epochs, tol=0.0, n_iter_no_change=epochs, random_state=0)
                fit = take(functools.partial(model.fit, x[train], y[train]))
                model.score(x[test], y[test])
                score = min(take(functools.partial(model.score, x[test], y[test])).wall for _ in range(9))
                print(
                    f"  {title:16} {run}: fit CPU {1e3 * fit.cpu:8.1f}  wall {1e3 * fit.wall:8.1f}   score "
                    f"{1e3 * score:6.2f}, accuracy {model.score(x[test], y[test]):.3f}"
                )


def prediction(rows: int) -> None:
    """Predictions of an array."""
    x = np.random.default_rng(0).uniform(size=(rows, 5))
    model = nn.MLP(5, [10, 10, 1], activation="relu", seed=0)
    calls: dict[str, Callable[[], Any]] = {"chainrule": lambda: model.predict(x)}
    sklearn = optional("sklearn.neural_network")
    if sklearn is not None:
        network = sklearn.MLPRegressor(hidden_layer_sizes=(10, 10), max_iter=1, random_state=0)
        network.fit(x, x[:, 0])
        for k, layer in enumerate(model.layers):
            network.coefs_[k] = np.array([[w.value for w in neuron.weights] for neuron in layer.neurons]).T
            network.intercepts_[k] = np.array([neuron.bias.value for neuron in layer.neurons])
        calls["scikit-learn"] = lambda: network.predict(x)
    results = {name: call() for name, call in calls.items()}
    for name, result in results.items():
        if not np.allclose(result, results["chainrule"], rtol=1e-9, atol=1e-12):
            sys.exit(f"{name} predicts other numbers than chainrule")
    print(f"\npredictions of {rows:,} rows, MLP 5-10-10-1 (ms)")
    for name, call in calls.items():
        print(f"  {name:16} {1e3 * min(take(call).wall for _ in range(50)):8.3f}")


def moons(samples: int) -> None:
    """A step over all samples of two moons, the network and loss of micrograd's own demo."""
    source = np.random.default_rng(1)
    angle = source.uniform(0.0, np.pi, samples)
    upper = np.arange(samples) % 2 == 0
    x = np.where(upper[:, None], np.c_[np.cos(angle), np.sin(angle)], np.c_[1.0 - np.cos(angle), 0.5 - np.sin(angle)])
    y = np.where(upper, 1.0, -1.0)
    steps = 2000
    print(f"\na step over {samples} samples of two moons, MLP 2-16-16-1, hinge loss, SGD (us)")
    model = nn.MLP(2, [16, 16, 1], activation="relu", seed=0)
    micrograd = optional("micrograd.nn")
    theirs = None
    if micrograd is not None:
        theirs = micrograd.MLP(2, [16, 16, 1])
        for p, own in zip(theirs.parameters(), model.parameters(), strict=True):
            p.data = own.value

        def step() -> float:
            losses = [(1 + -t * theirs(list(row))).relu() for row, t in zip(x.tolist(), y.tolist(), strict=True)]
            loss = sum(losses) * (1.0 / len(losses))
            theirs.zero_grad()
            loss.backward()
            for p in theirs.parameters():
                p.data -= 0.01 * p.grad
            return float(loss.data)

        first = step()
        theirs_took = min(take(step).cpu for _ in range(2))
    history: list[Any] = []

    def train(count: int) -> None:
        history.append(nn.fit(model, x, y, loss="hinge", optimiser="sgd", lr=0.01, epochs=count, batch_size=None))

    cold = take(functools.partial(train, steps))
    warm = min(take(functools.partial(train, steps)).cpu for _ in range(3)) / steps
    mean = 1e6 * cold.cpu / steps
    print(f"  chainrule        {1e6 * warm:10.2f}, with compilation over {steps:,} steps {mean:10.2f}")
    if theirs is None:
        print("  micrograd        not installed")
        return
    if abs(first - history[0].loss[0]) > 1e-9 * abs(first):
        sys.exit(f"micrograd has another loss than chainrule: {first!r} and {history[0].loss[0]!r}")
    ratios = theirs_took / warm, theirs_took * steps / cold.cpu
    print(f"  micrograd        {1e6 * theirs_took:10.0f}   {ratios[0]:,.0f} x, bar 60,000", end="")
    print(f"; with compilation {ratios[1]:,.0f} x, bar 2,000")


def run(repeats: int, quick: bool) -> None:
    """Print a table for each training; `quick` takes tiny sizes."""
    if quick:
        print("Quick: these sizes show that everything runs; they say nothing of speed.")
    elif hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        print(f"This machine is busy (load {os.getloadavg()[0]:.1f}): times say little.")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of trainings that are ended early
        os.environ["CHAINRULE_CACHE"] = folder
        regression(700 if quick else 100_000, 1 if quick else repeats)
        moons(10 if quick else 100)
        estimators(["wine"] if quick else ["wine", "breast_cancer", "digits"], 3 if quick else 100)
        prediction(300 if quick else 5_000)
