"""Learn logic gates by finite differences, then by backpropagation, then with networks of any depth."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from needed import needed

with needed("matplotlib"):
    import chainrule as cr
    from chainrule import Var, nn, viz
    from matplotlib.figure import Figure

ROWS = [(0, 0), (0, 1), (1, 0), (1, 1)]
AND = [0, 0, 0, 1]
XOR = [0, 1, 1, 0]
LEARNING_RATE = 4.0
ITERATIONS = 500


def loss_of(model: nn.Module, targets: Sequence[int]) -> Var:
    """Return the mean squared error over the four rows."""
    return nn.mse([model(row) for row in ROWS], targets)


def by_finite_differences(model: nn.Module, targets: Sequence[int], step: float = 1e-6) -> None:
    """Set each gradient by nudging its parameter both ways: two full evaluations for every parameter."""
    for parameter in model.parameters():
        value = parameter.value
        with cr.no_grad():
            parameter.value = value + step
            above = loss_of(model, targets).value
            parameter.value = value - step
            below = loss_of(model, targets).value
        parameter.value = value
        parameter.grad = (above - below) / (2 * step)


def by_backpropagation(model: nn.Module, targets: Sequence[int]) -> None:
    """Set all gradients by one evaluation and one sweep back through its graph."""
    model.zero_grad()
    loss_of(model, targets).backward()


def train(model: nn.Module, targets: Sequence[int], find_gradients: Callable[..., None]) -> float:
    """Descend the gradients, however they are found; return the seconds it took."""
    optimiser = nn.SGD(model.parameters(), lr=LEARNING_RATE)
    start = time.perf_counter()
    for _ in range(ITERATIONS):
        find_gradients(model, targets)
        optimiser.step()
    return time.perf_counter() - start


def print_truth_table(name: str, model: nn.Module, targets: Sequence[int]) -> None:
    """Print each row's prediction beside its target; exit if one rounds to the wrong side."""
    print(f"  a  b | a {name} b | prediction | rounded")
    for (a, b), target, prediction in zip(ROWS, targets, model.predict(ROWS), strict=True):
        print(f"  {a}  {b} | {target:^7} | {prediction:^10.3f} | {round(prediction):^7}")
        if round(prediction) != target:
            raise SystemExit(f"{name} was not learned")


def learn_both_ways(name: str, targets: Sequence[int], make: Callable[[], nn.Module]) -> nn.Module:
    """Train a model in both ways, from the same start; return the second."""
    model = make()
    print(f"{name}: {model}, {len(model.parameters())} parameters")
    for way, find_gradients in (
        ("finite differences", by_finite_differences),
        ("backpropagation", by_backpropagation),
    ):
        model = make()
        find_gradients(model, targets)
        gradients = ", ".join(f"{parameter.grad:+.6f}" for parameter in model.parameters()[:3])
        seconds = train(model, targets, find_gradients)
        print(f"\nBy {way}: first gradients {gradients}; {ITERATIONS} iterations in {seconds:.2f} s")
        print_truth_table(name, model, targets)
    return model


def draw_graph(model: nn.Module) -> Path:
    """Save the graph of the loss of one row, with all gradients."""
    # What requires no gradient has none in the picture.
    a, b = Var(1.0, label="a", requires_grad=False), Var(0.0, label="b", requires_grad=False)
    prediction = model((a, b))
    prediction.label = "prediction"
    loss = (prediction - 1) ** 2
    loss.label = "loss"
    model.zero_grad()
    loss.backward()
    return viz.render(loss, "out/xor.svg")


def learn_at_any_depth() -> None:
    """Do the same for deeper networks with `nn.fit`."""
    print("\nXOR by nn.fit, with 1, 2 and 4 hidden layers of three neurons:")
    for depth in (1, 2, 4):
        model = nn.MLP(2, [3] * depth + [1], activation="tanh", output_activation="sigmoid", seed=1)
        history = nn.fit(model, ROWS, XOR, loss="binary_cross_entropy", lr=0.05, epochs=300)
        found = [round(prediction) for prediction in model.predict(ROWS)]
        print(f"  {len(model.parameters()):2d} parameters, loss {history.loss[-1]:.1e}, predictions {found}")
        if found != XOR:
            raise SystemExit("XOR was not learned")


def draw_borders(models: dict[str, tuple[nn.Module, Sequence[int]]]) -> Path:
    """Save each model's answers between the four rows, too."""
    figure = Figure(figsize=(5 * len(models), 4), layout="constrained")
    for axes, (name, (model, targets)) in zip(figure.subplots(1, len(models)), models.items(), strict=True):
        viz.plot_decision_boundary(model, ROWS, targets, ax=axes, xlabel="a", ylabel="b")
        axes.set_title(name)
        axes.legend(loc="center")
    path = Path("out/gates.png")
    figure.savefig(path, dpi=150)
    return path


def main() -> None:
    neuron = learn_both_ways("AND", AND, lambda: nn.Neuron(2, activation="sigmoid", seed=1))
    print("\nNo single neuron can learn XOR: its border is a straight line. Three can:")
    model = learn_both_ways(
        "XOR", XOR, lambda: nn.MLP(2, [2, 1], activation="sigmoid", output_activation="sigmoid", seed=4)
    )
    learn_at_any_depth()
    print(f"\nThe graph of the loss of one row, with all gradients: {draw_graph(model)}")
    print(f"The borders found: {draw_borders({'AND, one neuron': (neuron, AND), 'XOR, three neurons': (model, XOR)})}")


if __name__ == "__main__":
    with needed():
        main()
