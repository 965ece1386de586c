"""demos/gpt.py: both engines take the same steps, and the model is the one that benchmark.py writes in lists."""

import math
import sys
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest

pytest.importorskip("names")
pytest.importorskip("matplotlib")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "demos"))

import gpt
from benchmarks.workloads import GPT, Functions

P = np.random.default_rng(3).normal(0.0, 0.2, gpt.COUNT)


def batches(k):
    tokens, lengths = zip(
        *[gpt.encode(name) for name in (["ada", "emmy"], ["noether", "lovelace"])[k % 2]], strict=True
    )
    return np.array(tokens), np.array([float(length) for length in lengths])


def test_the_names_are_real_and_many():
    names = gpt.first_names()
    assert len(names) == len(set(names)) == 5163
    assert {"mary", "james", "ada"} <= set(names) and names == gpt.first_names()
    assert all(set(name) <= set(gpt.ALPHABET) - {"."} and 2 <= len(name) <= 15 for name in names)
    assert gpt.COUNT == 4192


def test_both_engines_have_the_same_losses(capsys):
    recorded, compiled = (gpt.train(step, P, batches, 6) for step in (gpt.step, cr.compile(gpt.step)))
    np.testing.assert_allclose(compiled[1], recorded[1], rtol=1e-9)
    np.testing.assert_allclose(compiled[0], recorded[0], rtol=1e-7, atol=1e-9)
    assert recorded[1][4] < recorded[1][0] and "tokens a second" in capsys.readouterr().out


def test_a_step_is_that_of_the_list_program():
    lists = GPT()
    functions = Functions(cr.relu, cr.exp, cr.log, lambda x: x.value)
    total, slopes = 0.0, np.zeros(gpt.COUNT)
    tokens, lengths = batches(0)
    for row, length in zip(tokens, lengths, strict=True):
        lists.tokens = [int(token) for token in row[: int(length) + 1]]
        value, slope = cr.value_and_grad(lambda p: lists.loss(lists.model(list(p)), functions))(P)
        total, slopes = total + value / 2, slopes + slope / 2
    p, means, squares, value = cr.compile(gpt.step)(P, 0 * P, 0 * P, 1.0, 0.01, tokens, lengths)
    assert math.isclose(value, total, rel_tol=1e-12)
    np.testing.assert_allclose(means, (1 - gpt.FIRST) * slopes, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(squares, (1 - gpt.SECOND) * slopes**2, rtol=1e-9, atol=1e-18)
    moved = slopes != 0.0
    np.testing.assert_allclose((P - p)[moved], 0.01 * np.sign(slopes[moved]), rtol=1e-2)


def test_what_comes_later_is_not_seen():
    tokens = np.array(gpt.encode("maria")[0][:-1])
    scores, heads = gpt.predict(P, tokens)
    changed, _ = gpt.predict(P, np.where(np.arange(16) > 3, 5.0, tokens))
    np.testing.assert_array_equal(np.array(scores)[:4], np.array(changed)[:4])
    assert not np.array_equal(scores[4], changed[4])
    shares = np.array(heads)
    assert shares.shape == (16, gpt.HEADS, 16)
    np.testing.assert_allclose(shares.sum(-1), 1.0, rtol=1e-12)
