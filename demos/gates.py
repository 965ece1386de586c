"""Learn logic gates by raising parameters, by finite differences, by backpropagation; then with deeper networks."""

import random
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
LEARNING_RATE = 1.0
ITERATIONS = 2000
STARTS = 20  # from which XOR is learned, or not

FindGradients = Callable[[nn.Module, Sequence[int]], None]


def sum_of_squares(predictions: Sequence[Var], targets: Sequence[int]) -> Var:
    """Return the sum of the squared errors."""
    return cr.sum([(prediction - target) ** 2 for prediction, target in zip(predictions, targets, strict=True)])


def loss_of(model: nn.Module, targets: Sequence[int]) -> Var:
    """Return the sum of the squared errors over the four rows."""
    return sum_of_squares([model(row) for row in ROWS], targets)


def by_steps_of_one(model: nn.Module, targets: Sequence[int]) -> None:
    """Set each gradient to what the loss changes by when its parameter is raised by 1: a rough guess at its slope."""
    with cr.no_grad():
        before = loss_of(model, targets).value
        for parameter in model.parameters():
            value = parameter.value
            parameter.value = value + 1.0
            parameter.grad = loss_of(model, targets).value - before
            parameter.value = value


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


BY_STEPS_OF_ONE = ("steps of 1", by_steps_of_one)
BY_FINITE_DIFFERENCES = ("finite differences", by_finite_differences)
BY_BACKPROPAGATION = ("backpropagation", by_backpropagation)


def started(model: nn.Module, seed: int) -> nn.Module:
    """Set all parameters to numbers between 0 and 1."""
    source = random.Random(seed)
    for parameter in model.parameters():
        parameter.value = source.random()
    return model


def neuron() -> nn.Module:
    """Return a single neuron, 3 parameters."""
    return started(nn.Neuron(2, activation="sigmoid"), seed=0)


def three_neurons(seed: int = 0) -> nn.Module:
    """Return a network with a hidden layer of two, 9 parameters."""
    return started(nn.MLP(2, [2, 1], activation="sigmoid", output_activation="sigmoid"), seed)


def train(model: nn.Module, targets: Sequence[int], find_gradients: FindGradients) -> float:
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


def learn(
    name: str, targets: Sequence[int], make: Callable[[], nn.Module], ways: Sequence[tuple[str, FindGradients]]
) -> nn.Module:
    """Train a model in each way, from the same start; return the last."""
    model = make()
    predictions = ", ".join(f"{prediction:.3f}" for prediction in model.predict(ROWS))
    print(f"{name}: {model}, {len(model.parameters())} parameters; untrained it predicts {predictions}")
    for way, find_gradients in ways:
        model = make()
        find_gradients(model, targets)
        gradients = ", ".join(f"{parameter.grad:+.6f}" for parameter in model.parameters()[:3])
        seconds = train(model, targets, find_gradients)
        print(f"\nBy {way}: first gradients {gradients}; {ITERATIONS} iterations in {seconds:.2f} s")
        print_truth_table(name, model, targets)
    return model


def fail_with_one_neuron() -> None:
    """Show what a single neuron makes of XOR."""
    model = neuron()
    train(model, XOR, by_backpropagation)
    predictions = ", ".join(f"{prediction:.3f}" for prediction in model.predict(ROWS))
    print(f"\nNo single neuron can learn XOR, as its border is a straight line. It predicts {predictions}.")


def learn_from_many_starts() -> None:
    """Count from how many starts XOR is learned: the others end in a valley that is not the lowest."""
    learned = 0
    for seed in range(STARTS):
        model = three_neurons(seed)
        nn.fit(model, ROWS, XOR, loss=sum_of_squares, optimiser=nn.SGD, lr=LEARNING_RATE, epochs=ITERATIONS)
        learned += [round(prediction) for prediction in model.predict(ROWS)] == XOR
    print(f"\nXOR is learned from {learned} of {STARTS} starts between 0 and 1")


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
    """Repeat it for deeper networks with `nn.fit`."""
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
    print(f"The loss is the sum of squares over the four rows, the rate {LEARNING_RATE:g}.\n")
    single = learn("AND", AND, neuron, [BY_STEPS_OF_ONE, BY_FINITE_DIFFERENCES, BY_BACKPROPAGATION])
    fail_with_one_neuron()
    print("Three neurons can:\n")
    model = learn("XOR", XOR, three_neurons, [BY_FINITE_DIFFERENCES, BY_BACKPROPAGATION])
    learn_from_many_starts()
    learn_at_any_depth()
    print(f"\nThe graph of the loss of one row, with all gradients: {draw_graph(model)}")
    print(f"The borders found: {draw_borders({'AND, one neuron': (single, AND), 'XOR, three neurons': (model, XOR)})}")


if __name__ == "__main__":
    with needed():
        main()
