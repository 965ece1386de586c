"""See one neuron learn AND by trial differences, then by backpropagation, and a network of three learn XOR."""

import time
from collections.abc import Callable, Sequence

import chainrule as cr
from chainrule import Var, nn, viz

ROWS = [(0, 0), (0, 1), (1, 0), (1, 1)]
AND = [0, 0, 0, 1]
XOR = [0, 1, 1, 0]
LEARNING_RATE = 1.0
ITERATIONS = 2000


def loss_of(model: nn.Module, targets: Sequence[int]) -> Var:
    """Return the mean squared error over the four rows."""
    return nn.mse([model(row) for row in ROWS], targets)


def by_finite_differences(model: nn.Module, targets: Sequence[int], step: float = 1e-6) -> None:
    """Set each gradient by nudging the parameter both ways: two whole evaluations for every parameter."""
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
    """Print each row's prediction beside its target; stop the program if one rounds to the wrong side."""
    print(f"  a  b | a {name} b | prediction | rounded")
    with cr.no_grad():
        for (a, b), target in zip(ROWS, targets, strict=True):
            prediction = model((a, b)).value
            print(f"  {a}  {b} | {target:^7} | {prediction:^10.3f} | {round(prediction):^7}")
            if round(prediction) != target:
                raise SystemExit(f"{name} was not learned")


def learn_and() -> None:
    """Train one neuron in both ways, from the same start."""
    print("AND with one sigmoid neuron, 3 parameters")
    for way, find_gradients in (
        ("finite differences", by_finite_differences),
        ("backpropagation", by_backpropagation),
    ):
        neuron = nn.Neuron(2, activation="sigmoid", seed=1)
        find_gradients(neuron, AND)
        gradients = ", ".join(f"{parameter.grad:+.6f}" for parameter in neuron.parameters())
        seconds = train(neuron, AND, find_gradients)
        print(f"\nBy {way}: first gradients {gradients}; {ITERATIONS} iterations in {seconds:.2f} s")
        print_truth_table("AND", neuron, AND)


def learn_xor() -> None:
    """Train the smallest network that can tell the rows apart, and draw what it differentiates."""
    model = nn.MLP(2, [2, 1], activation="sigmoid", output_activation="sigmoid", seed=4)
    print(f"\nXOR, which no single neuron can learn: {model}, {len(model.parameters())} parameters")
    seconds = train(model, XOR, by_backpropagation)
    print(f"\nBy backpropagation: {ITERATIONS} iterations in {seconds:.2f} s")
    print_truth_table("XOR", model, XOR)

    prediction = model((1, 0))
    prediction.label = "prediction"
    loss = (prediction - 1) ** 2
    loss.label = "loss"
    model.zero_grad()
    loss.backward()
    print(f"\nThe graph of the loss of one row, with all gradients: {viz.render(loss, 'out/xor.svg')}")


def main() -> None:
    learn_and()
    learn_xor()


if __name__ == "__main__":
    main()
