"""What programs with arrays look like: whole arrays by their shape, parts of them as indices, lists in runs."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import Program, trace
from chainrule.programs import Gather, Numbers, Part, Place, Scatter, Step, View, constants, values_in_tuple


def rows(w, x):
    return cr.map(lambda row: row[0] * x + row[127], w)


def pairs(w, xs):
    return cr.map(lambda pair: (pair[0][0] * pair[1], pair[0][1] - pair[1]), list(zip(w, xs, strict=True)))


def weighted(xs):
    return cr.map(lambda x, w: x * w, xs, 2.0), cr.scan(lambda c, x: (c + x, None), 0.0, xs)[0]


LISTINGS = {
    "rows of a matrix": (
        trace(rows, np.ones((784, 128)), 1.0),
        """
rows(w: [number × 784 × 128], x):
    v1 = map lambda × 784 over rows of w with x:
        lambda(row: [number × 128], x):
            v1 = row[0] × x
            v2 = v1 + row[127]
            return v2
    return v1
""",
    ),
    "lists iteration by iteration": (
        trace(pairs, [[1.0, 2.0]] * 2, [1.0] * 2),
        """
pairs(w: [[number, number], [number, number]], xs: [number, number]):
    v1, v2 = map lambda × 2 over w[0][0], w[0][1], xs[0], w[1][0], w[1][1], xs[1]:
        lambda(pair: ([number, number], number)):
            v1 = pair[0][0] × pair[1]
            v2 = pair[0][1] − pair[1]
            return (v1, v2)
    return ([v1[0], v1[1]], [v2[0], v2[1]])
""",
    ),
    "many numbers in runs": (
        trace(weighted, [1.0] * 20),
        """
weighted(xs: [number × 20]):
    v1 = map lambda × 20 over xs[0]…xs[19] with 2.0:
        lambda(x, w):
            v1 = x × w
            return v1
    v2 = scan lambda × 20 from 0.0 over xs[0]…xs[19]:
        lambda(c, x):
            v1 = c + x
            return v1
    return ([v1[0]…v1[19]], v2)
""",
    ),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_listings(name):
    program, expected = LISTINGS[name]
    assert str(program) == expected.strip()


def written(op, args, shapes, table=()):
    """Write an operation as a listing does where its result is used, or in its own line."""
    names = tuple("xyz"[: len(shapes)])
    result = values_in_tuple([op.shape]).parts[0]
    program = Program(names, table, (Step(op, args),), (len(names) + len(table),), values_in_tuple(shapes), result)
    _, *steps, returned = str(program).splitlines()
    return steps[0].removeprefix("    v1 = ") if steps else returned.removeprefix("    return ")


@pytest.mark.parametrize(
    ("part", "word"),
    [
        (Part(3, (), ()), "x[0, 3]"),
        (Part(5, (), ()), "x[1, 1]"),
        (Part(4, (4,), (1,)), "x[1]"),
        (Part(4, (2, 4), (4, 1)), "x[1:3]"),
        (Part(1, (3,), (4,)), "x[:, 1]"),
        (Part(1, (3, 2), (4, 1)), "x[:, 1:3]"),
        (Part(1, (2,), (2,)), "x[0, 1:5:2]"),
        (Part(0, (12,), (1,)), "x as [12]"),
        (Part(0, (4, 3), (1, 4)), "x as [4 × 3] from 0 by 1, 4"),
        (Part(0, (3, 4), (4, 1)), "x"),
    ],
)
def test_parts_are_indices(part, word):
    assert written(View((3, 4), part), (0,), [(3, 4)]) == word


def test_what_else_moves_numbers():
    assert written(View((2,), Part(0, (2,), (1,)), stops=True), (0,), [(2,)]) == "stop_gradient(x)"
    assert written(Place((2,), [Part(0, (), ()), Part(1, (), ())]), (1, 0), [(), ()]) == "[y, x]"
    assert written(Place((2, 3), ()), (), []) == "zeros[2 × 3]"
    column = Place((2, 3), [Part(1, (2,), (3,)), Part(5, (), ())])
    assert written(column, (0, 1), [(2,), ()]) == "zeros[2 × 3] + x at [:, 1] + y at [1, 2]"
    assert written(Gather((5, 3), (2,)), (0, 1), [(5, 3), (2,)]) == "x[y]"
    assert written(Scatter((5, 3), (2,)), (0, 1), [(2,), (2, 3)]) == "zeros[5 × 3] + y at [x]"


def test_constants_are_listed_where_they_are_few():
    few, many = constants([1.0, -2.0], (2,)), constants([0.5] * 600, (300, 2))
    assert isinstance(few, Numbers)
    row = View((300, 2), Part(4, (2,), (1,)))
    assert written(View((2,), Part(1, (), ())), (0,), [], (few,)) == "(1.0, -2.0)[1]"
    assert written(row, (0,), [], (many,)) == "numbers[300 × 2][2]"


def test_what_adds_has_a_line_of_its_own():
    """So that no word grows with the program: each sum of parts takes the one before it twice."""
    steps, parts = [], [Part(0, (2,), (1,)), Part(0, (2,), (1,))]
    for k in range(40):
        steps.append(Step(Place((2,), parts), (k, k)))
    program = Program(("x",), (), tuple(steps), (40,), values_in_tuple([(2,)]), values_in_tuple([(2,)]).parts[0])
    text = str(program)
    assert text.splitlines()[2] == "    v2 = zeros[2] + v1 + v1" and len(text) < 1_500
    assert program(np.array([1.0, 3.0])).tolist() == [2.0**40, 3.0 * 2.0**40]


def test_what_is_long_has_a_line_of_its_own():
    names = tuple([f"a_number_with_a_long_name_{k}_of_12" for k in range(12)])
    place = Step(Place((12,), [Part(k, (), ()) for k in range(12)]), tuple(range(11, -1, -1)))
    arguments, result = values_in_tuple([()] * 12), values_in_tuple([(12,)]).parts[0]
    text = str(Program(names, (), (place,), (12,), arguments, result)).splitlines()
    assert text[1].startswith("    v1 = a_number_with_a_long_name_11_of_12, ") and text[2] == "    return v1"
