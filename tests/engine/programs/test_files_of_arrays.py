"""Files and pickles of programs with arrays and loops, and those that older versions wrote."""

import base64
import json
import math
import pathlib
import pickle
import struct

import chainrule as cr
import numpy as np
import pytest
from chainrule import Program, trace
from chainrule.programs import MAP, Gather, Loop, Numbers, Part, Place, Scatter, Step, View, values_in_tuple
from helpers import BACKENDS, flat

OLDER = pathlib.Path(__file__).parent / "older_forms"


# ---- the form before arrays ----


def many(xs, w):
    """Have a loop of every kind; the files of older versions hold it and the gradient of its sum."""
    doubled, total = cr.map(lambda x: (2.0 * x + w, x * w), xs), cr.map(lambda x: x * x * w, xs, reduce="sum")
    last, seen = cr.scan(lambda c, x: (c * x + w, (c, x - c)), w, xs, reverse=True)
    root = cr.while_loop(lambda c: c < 100.0, lambda c: c * c + w, last + 2.0, 20)
    called = cr.function(lambda a, b: (a * b, [cr.sin(a + c) for c in xs]))(last, total)
    chosen = cr.cond(w > 0.0, lambda: cr.exp(w), lambda: w * last)
    nested = cr.map(lambda x: cr.map(lambda y: cr.tanh(x * y), xs, reduce="sum"), xs)
    return [doubled, total, last, seen[0], seen[1], root, called[0], called[1][2], chosen, nested]


gradient = cr.value_and_grad(lambda xs, w: cr.sum(flat(many(xs, w))), (0, 1))
POINTS = [([0.5, -1.25, 2.0], 0.75), ([2.5, 1.0, 0.25], 0.5)]


@pytest.mark.parametrize(
    ("program", "f"),
    [
        (Program.load(OLDER / "loops.json"), many),
        (Program.load(OLDER / "gradient.json"), gradient),
        (pickle.loads((OLDER / "gradient.pickle").read_bytes()), gradient),
    ],
    ids=["loops", "gradient", "pickle"],
)
def test_programs_of_the_form_before_arrays_are_read(program, f, tmp_path):
    for xs, w in POINTS:
        assert flat(program(xs, w)) == pytest.approx(flat(f(xs, w)), rel=1e-13)
        for backend in BACKENDS:
            assert flat(cr.compile(program, backend=backend)(xs, w)) == pytest.approx(flat(f(xs, w)), rel=1e-13)
    program.save(tmp_path / "again.json")
    assert Program.load(tmp_path / "again.json") == program == pickle.loads(pickle.dumps(program))


@pytest.mark.parametrize("f", [many, gradient], ids=["loops", "gradient"])
def test_loops_of_every_kind_are_kept(f, tmp_path):
    xs, w = POINTS[0]
    program = trace(f, xs, w)
    kinds = {op.name for op in program.rows_and_loops() if isinstance(op, Loop)}
    assert kinds >= {"map", "scan", "while", "call"} - ({"call"} if f is gradient else set())
    program.save(tmp_path / "f.json")
    for again in (Program.load(tmp_path / "f.json"), pickle.loads(pickle.dumps(program))):
        assert again == program and flat(again(xs, w)) == flat(program(xs, w))


def test_a_loop_of_the_older_form_takes_as_many_numbers_as_it_says(tmp_path):
    content = json.loads((OLDER / "loops.json").read_text())
    content["steps"][0].pop()
    (tmp_path / "f.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"steps\[0\], map, to take 4 arguments but got 3"):
        Program.load(tmp_path / "f.json")


# ---- arrays ----

TABLE = [1.0, -0.0, math.nan, math.inf, 5e-324, 0.1]


def moving():
    """Return a program of every operation that moves numbers, with an array of constants and a loop over rows."""
    product = trace(lambda a, b: a * b, 1.0, 2.0)
    taken = tuple([Step(View((2,), Part(k, (), ())), (0,)) for k in range(2)])
    body = Program(("row",), (), (*taken, Step(cr.mul, (1, 2))), (3,), values_in_tuple([(2,)]), product.result, "f")
    steps = (
        Step(View((3, 4), Part(11, (2, 3), (-4, -1))), (0,)),  # 3: the last rows and columns, backwards
        Step(Place((3, 2), [Part(0, (2, 3), (3, 1)), Part(5, (), ())]), (3, 1)),  # 4: the last number has one added
        Step(View((3, 4), Part(0, (2,), (1,))), (0,)),  # 5: the index
        Step(Gather((3, 2), (2,)), (2, 5)),  # 6
        Step(View((2, 2), Part(0, (2,), (2,)), stops=True), (6,)),  # 7: the first column
        Step(Scatter((3, 2), (2,)), (5, 6)),  # 8
        Step(Loop(MAP, body, 3, 0, 1, 0), (8,)),  # 9
    )
    table = Numbers(struct.pack("=6d", *TABLE), (3, 2))
    result = values_in_tuple([(2, 3), (3, 2), (2, 2), (2,), (3, 2), (3,)])
    return Program(("x", "a"), (table,), steps, (3, 4, 6, 7, 8, 9), values_in_tuple([(3, 4), ()]), result, "moving")


def moved_by_numpy(x, a):
    backwards = x[:0:-1, :0:-1]
    added = backwards.reshape(3, 2).copy()
    added[2, 1] += a
    index = x[0, :2].astype(int)
    rows = np.array(TABLE).reshape(3, 2)[index]
    spread = np.zeros((3, 2))
    np.add.at(spread, index, rows)
    return backwards, added, rows, rows[:, 0], spread, spread[:, 0] * spread[:, 1]


def test_arrays_are_kept_in_files_and_pickles(tmp_path):
    program = moving()
    program.save(tmp_path / "f.json")
    x = np.arange(12.0).reshape(3, 4)
    x[0, :2] = [2.0, -1.0]
    for again in (program, Program.load(tmp_path / "f.json"), pickle.loads(pickle.dumps(program))):
        assert again == program and hash(again) == hash(program) and str(again) == str(program)
        for found, expected in zip(again(x, 0.5), moved_by_numpy(x, 0.5), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_file_takes_11_letters_for_a_double(tmp_path):
    numbers = np.random.default_rng(1).normal(size=3_000)
    program = trace(lambda w: cr.map(lambda x: x * x * w, list(numbers), reduce="sum"), 1.0)
    program.save(tmp_path / "f.json")
    assert (tmp_path / "f.json").stat().st_size < 11 * len(numbers) + 1_000
    assert Program.load(tmp_path / "f.json") == program


def test_doubles_in_files_are_little_endian(tmp_path):
    moving().save(tmp_path / "f.json")
    (constant,) = json.loads((tmp_path / "f.json").read_text())["constants"]
    assert constant["shape"] == [3, 2]
    assert base64.b64decode(constant["doubles"]) == struct.pack("<6d", *TABLE)


def change(*path, value):
    def damage(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("version", value=2), "arguments and result of numbers"),
        (change("steps", 0, 0, "part", 0, value=12), r"steps\[0\], view, to stay inside of 12 numbers"),
        (change("steps", 0, 0, "part", 0, value=5), r"steps\[0\], view, to stay inside of 12 numbers"),
        (change("steps", 0, 0, "part", 2, value=[1]), r"steps\[0\], view, to name a start, a shape and strides"),
        (change("steps", 0, 0, "part", 2, value=[1.5, 1]), "to name a start, a shape and strides"),
        (change("steps", 0, 0, "view", value=[-3, 4]), "to have a shape of whole numbers"),
        (change("steps", 0, 0, "view", value=[]), "to be of an array"),
        (
            change("steps", 0, 0, "view", value=[4, 3]),
            r"to take an array \[4, 3\] as value 0 but got 'an array \[3, 4\]'",
        ),
        (change("steps", 0, 0, "stops", value=1), "to say whether derivatives stop"),
        (change("steps", 0, 0, "else", value=1), r"steps\[0\] to be an operation with its keys"),
        (change("steps", 1, 0, "parts", value=[[0, [2, 3], [3, 1]]]), r"place, to take 1 arguments"),
        (change("steps", 1, 2, value=0), "to take a number as value 1"),
        (change("steps", 3, 0, "index", value="two"), "gather, to have a shape of whole numbers"),
        (change("steps", 6, 0, "length", value=4), r"map, to take an array \[4, 2\] as value 0"),
        (change("outputs", 0, value=1), r"outputs\[0\] to be an array \[2, 3\] but got 'a number'"),
        (change("programs", 0, "steps", 2, 1, value=0), "mul, to take a number as value 0"),
        (change("constants", 0, "shape", value=[3, 3]), r"constants\[0\] to have doubles for \(3, 3\) but got 48"),
        (change("constants", 0, "doubles", value="###"), r"constants\[0\] to have doubles in base 64"),
        (change("constants", 0, "doubles", value=1.0), r"constants\[0\] to have doubles in base 64"),
        (change("arguments", "tuple", 0, value={"whole": []}), r"arguments\[0\] to be an array"),
    ],
)
def test_damaged_arrays_are_refused_with_the_place(tmp_path, damage, message):
    path = tmp_path / "f.json"
    moving().save(path)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as caught:
        Program.load(path)
    assert str(path) in str(caught.value)
