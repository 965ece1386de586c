"""What passes made of long programs is found again on disk: equal, listed alike, and only where all is the same."""

from dataclasses import dataclass

import chainrule as cr
import numpy as np
import pytest
from chainrule.programs import digest_of
from chainrule.rewriting import prepared, remembered


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    return tmp_path


class Counted:
    """Passes that count their runs."""

    def __init__(self):
        self.runs = 0

    def __call__(self, program, *options):
        self.runs += 1
        return prepared(program, *options)


def layer(w, x):
    hidden = [cr.tanh(sum(a * b for a, b in zip(row, x, strict=True)) + 0.5) for row in w]
    return hidden, sum(cr.exp(h) * h for h in hidden)


def traced(f=layer):
    return cr.trace(f, [[1.0] * 30] * 30, [0.5] * 30)


def entries(folder):
    return sorted(folder.glob("*.program"))


def test_a_program_is_found_again(cache):
    passes = Counted()
    program, again = traced(), traced()
    first = remembered("prepared", passes, program, (False, False))
    found = remembered("prepared", passes, again, (False, False))
    assert passes.runs == 1 and len(entries(cache)) == 1
    assert found == first == prepared(program, (False, False)) and str(found) == str(first)
    w, x = np.random.default_rng(0).normal(size=(30, 30)).tolist(), [0.25] * 30
    assert found(w, x) == first(w, x)


def test_options_names_and_sizes_of_arguments_make_others(cache):
    passes = Counted()
    remembered("prepared", passes, traced(), (False, False))
    remembered("prepared", passes, traced(), (False, True))
    remembered("other", passes, traced(), (False, False))

    def renamed(v, x):
        return layer(v, x)

    found = remembered("prepared", passes, traced(renamed), (False, False))
    assert str(found).startswith("renamed(v: ")
    flat = cr.trace(lambda *xs: layer([xs[30 * k : 30 * k + 30] for k in range(30)], xs[900:]), *[1.0] * 930)
    remembered("prepared", passes, flat, (False,) * 930)
    assert passes.runs == len(entries(cache)) == 5


def test_constants_count_to_the_last_bit():
    programs = [cr.trace(lambda x, c=c: x * c + 0.0, 1.0) for c in (0.1, 0.1 + 2.0**-56, -0.0, 0.5)]
    assert len({digest_of(program) for program in programs}) == 4


def test_what_stays_as_it_is_is_the_same_object(cache):
    program = traced()
    for _ in range(2):
        assert remembered("none", lambda own: own, program) is program
    assert len(entries(cache)) == 1


def test_rows_of_the_users_own_are_rewritten_each_time(cache):
    @cr.primitive(partials=lambda y, x: (2.0,))
    def twice_of_mine(x):
        return 2.0 * x

    passes = Counted()
    for _ in range(2):
        remembered("prepared", passes, traced(lambda w, x: twice_of_mine(layer(w, x)[1])), (False, False))
    assert passes.runs == 2 and not entries(cache)


def test_damaged_and_foreign_entries_are_passed_over(cache):
    passes = Counted()
    first = remembered("prepared", passes, traced(), (False, False))
    (entry,) = entries(cache)
    for content in (b"", entry.read_bytes()[:-1], b"x" * 200):
        entry.write_bytes(content)
        assert remembered("prepared", passes, traced(), (False, False)) == first
    assert passes.runs == 4


def test_without_a_cache_and_short_programs_leave_nothing(cache, monkeypatch):
    passes = Counted()
    for _ in range(2):
        remembered("prepared", passes, cr.trace(cr.sin, 1.0), (False,))
    monkeypatch.setenv("CHAINRULE_CACHE", "0")
    remembered("prepared", passes, traced(), (False, False))
    assert passes.runs == 3 and not entries(cache)


def test_arguments_of_classes_that_no_other_module_finds(cache):
    @dataclass
    class Model:
        w: list
        b: list

    def loss(model, x):
        return sum(layer(model.w, x)[0]) + sum(model.b)

    found = []
    for k in range(2):
        f = cr.compile(cr.value_and_grad(loss))
        value, slopes = f(Model(np.full((30, 30), 0.01), [float(k)] * 4), np.ones(30))
        assert isinstance(slopes, Model) and list(slopes.b) == [1.0] * 4
        found.append(value - 4.0 * k)
    assert found[0] == pytest.approx(found[1], rel=1e-14)


def test_a_compiled_gradient_is_the_same_from_disk(cache):
    """Both the loss, before its derivative is taken, and the derivative are found."""
    w, x = np.random.default_rng(1).normal(size=(40, 40)), np.linspace(-1.0, 1.0, 40)
    found = []
    for _ in range(2):
        f = cr.compile(cr.value_and_grad(lambda w, x: layer(w, layer(w, x)[0])[1]))
        found.append((*f(w, x), str(f.program)))
    assert entries(cache)
    assert found[0][0] == found[1][0] and found[0][2] == found[1][2]
    np.testing.assert_array_equal(found[0][1], found[1][1])
