"""Long lists and tuples of results that are one array's numbers: one value inside, and outside what was returned."""

import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import Program, trace
from helpers import BACKENDS

X = np.linspace(0.1, 1.0, 300)


def squares(x):
    return cr.map(lambda v: v * v, x)


FUNCTIONS = {
    "list": lambda x: [*squares(x)],
    "tuple": lambda x: tuple(squares(x)),
    "beside a number": lambda x: (tuple(squares(x)), x[0]),
    "halves": lambda x: {"a": [[*squares(x)[:150]], [*squares(x)[150:]]], "b": [x[3], 2.0]},
    "beside a short one": lambda x: [[*squares(x)], [*squares(x)[1:5]]],
    "backwards": lambda x: [*squares(x)][::-1],
    "mixed": lambda x: [x[0], *squares(x), (x[1],)],
}


def same(found, expected):
    """Compare nested lists, tuples and dicts: of the same kinds, with almost the same numbers."""
    if isinstance(expected, (list, tuple, dict)):
        assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for own, other in zip(found, expected, strict=True):
            same(own, other)
    else:
        assert found == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("argument", [X, X.tolist()], ids=["array", "list"])
def test_results_keep_their_structure(kind, argument, tmp_path):
    f = FUNCTIONS[kind]
    g = f if argument is X else lambda x: f(np.array(x))
    expected = g(argument)
    program = trace(g, argument)
    program.save(tmp_path / "program.json")
    for run in (program, pickle.loads(pickle.dumps(program)), Program.load(tmp_path / "program.json")):
        same(run(argument), expected)
    same(trace(lambda x: program(x), argument)(argument), expected)
    for backend in BACKENDS:
        same(cr.compile(g, backend=backend)(argument), expected)


@pytest.mark.parametrize("kind", ["list", "tuple", "beside a number", "halves"])
def test_derivatives_keep_it_too(kind):
    f = FUNCTIONS[kind]

    def pushed(x, direction):
        return cr.jvp(f, x, direction)[1]

    def pulled(x, direction):
        return cr.vjp(f, x)[1](pushed(x, direction))

    for derivative in (pushed, pulled):
        expected = derivative(X, X + 1.0)
        for run in (trace(derivative, X, X), *[cr.compile(derivative, backend=backend) for backend in BACKENDS]):
            found = run(X, X + 1.0)
            if derivative is pushed:
                same(found, expected)
            else:
                np.testing.assert_allclose(found[0], expected[0], rtol=1e-14)
