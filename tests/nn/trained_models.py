"""Models and samples for tests of training: one model that can be compiled, and two that cannot."""

import random

from chainrule import Var, nn

ROWS = [[k / 10 - 1, (7 * k % 20) / 10 - 1] for k in range(20)]
NUMBERS = [0.5 * a - 2 * b + a * b for a, b in ROWS]


def model_of(seed=3, outputs=1, **options):
    return nn.MLP(2, [4, outputs], seed=seed, **options)


class Branching(nn.Module):
    """A model that a trace cannot follow, as it looks at numbers."""

    def __init__(self):
        self.left, self.right = Var(1.0), Var(2.0)

    def __call__(self, x):
        return self.left * x[0] if x[1] < 0 else self.right * x[0]


class Dropping(nn.Module):
    """A model that is another one in every call."""

    def __init__(self):
        self.inner = model_of()
        self.source = random.Random(0)

    def __call__(self, x):
        return self.inner(x) * self.source.choice([0.0, 2.0])
