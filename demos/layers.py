"""See the chain rule through three layers: written out by hand, by backward(), and by finite differences."""

import math
from typing import Any

from needed import needed

with needed():
    import chainrule as cr
    from chainrule import Var, viz

X = 0.7
VALUES = {"w1": 0.9, "b1": -0.2, "w2": -1.3, "b2": 0.4, "w3": 1.1, "b3": 0.3}


def compose(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> tuple[Any, ...]:
    """Return f0 to f5: three layers, each a line and a tanh; floats give floats, Vars give Vars."""
    f0 = w1 * X + b1
    f1 = cr.tanh(f0)
    f2 = w2 * f1 + b2
    f3 = cr.tanh(f2)
    f4 = w3 * f3 + b3
    f5 = cr.tanh(f4)
    return f0, f1, f2, f3, f4, f5


def tanh_slope(x: float) -> float:
    """Return the derivative of tanh."""
    return 1 / math.cosh(x) ** 2


def by_hand() -> dict[str, float]:
    """Multiply the derivatives of the links from f5 back to each parameter."""
    f0, f1, f2, f3, f4, _ = compose(**VALUES)
    w2, w3 = VALUES["w2"], VALUES["w3"]
    return {
        "b3": tanh_slope(f4),
        "w3": tanh_slope(f4) * f3,
        "b2": tanh_slope(f4) * w3 * tanh_slope(f2),
        "w2": tanh_slope(f4) * w3 * tanh_slope(f2) * f1,
        "b1": tanh_slope(f4) * w3 * tanh_slope(f2) * w2 * tanh_slope(f0),
        "w1": tanh_slope(f4) * w3 * tanh_slope(f2) * w2 * tanh_slope(f0) * X,
    }


def by_backward(picture: str, page: str) -> dict[str, float]:
    """Multiply the same links by the engine; draw them, and write a page that steps through them."""
    parameters = {name: Var(value, label=name) for name, value in VALUES.items()}
    functions = compose(**parameters)
    for number, function in enumerate(functions):
        function.label = f"f{number}"
    functions[-1].backward()
    viz.render(functions[-1], picture)
    viz.explain(functions[-1], page)
    return {name: parameter.grad for name, parameter in parameters.items()}


def by_finite_differences(step: float = 1e-5) -> dict[str, float]:
    """Nudge each parameter both ways and see how far f5 moves."""
    slopes = {}
    for name, value in VALUES.items():
        above = compose(**VALUES | {name: value + step})[-1]
        below = compose(**VALUES | {name: value - step})[-1]
        slopes[name] = (above - below) / (2 * step)
    return slopes


def main() -> None:
    print(f"f5 = tanh(w3 * tanh(w2 * tanh(w1 * x + b1) + b2) + b3) at x = {X:g}")
    print(", ".join(f"{name} = {value:g}" for name, value in VALUES.items()))
    print(", ".join(f"f{number} = {value:.4f}" for number, value in enumerate(compose(**VALUES))))

    picture, page = "out/layers.svg", "out/layers.html"
    hand, backward, differences = by_hand(), by_backward(picture, page), by_finite_differences()
    print("\nderivative |  chain rule by hand |          backward() |  finite differences")
    for name in hand:
        print(f"df5/d{name:<5} | {hand[name]:19.15f} | {backward[name]:19.15f} | {differences[name]:19.15f}")

    from_hand = max(abs(backward[name] - hand[name]) for name in hand)
    from_differences = max(abs(backward[name] - differences[name]) for name in hand)
    if from_hand > 1e-14 or from_differences > 1e-9:
        raise SystemExit("the three ways should agree, but do not")
    print("\nThe three ways agree. Greatest difference of backward() from")
    print(f"  the chain rule by hand: {from_hand:.1g} (the same products)")
    print(f"  finite differences:     {from_differences:.1g} (these cut the curve off after its second bend)")
    print(f"The graph with all gradients: {picture}; a page to step through it: {page}")


if __name__ == "__main__":
    with needed():
        main()
