"""strict() and TraceError name the user's line, whatever lies between it and the operation."""

import contextlib
import functools
import importlib.util
import sysconfig
import threading
from pathlib import Path

import chainrule as cr
import numpy as np
import pytest
from chainrule import NonFiniteError, TraceError, Var, nn, viz
from chainrule.graph import blame

HERE = Path(__file__)


def places(text):
    """Find the lines of this file that a text marks with `# here`."""
    return [number for number, line in enumerate(HERE.read_text().splitlines(), 1) if line.endswith(f"# {text}")]


@pytest.fixture
def library(tmp_path):
    """An installed package that calls what it is given."""
    path = tmp_path / "site-packages" / "calls.py"
    path.parent.mkdir()
    path.write_text("def call(f, *args):\n    return f(*args)\n")
    spec = importlib.util.spec_from_file_location("calls", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BAD = 1e10


ROUTES = {
    "nn": lambda library: nn.MLP(1, [2, 1], activation="exp", seed=1)([BAD]),  # strict
    "nn.losses": lambda library: nn.mse([Var(1e300)], [-1e300]),  # strict
    "numpy": lambda library: np.prod(np.array([Var(1e300), Var(1e300)])),  # strict
    "numpy method": lambda library: np.linalg.norm(np.array([Var(1e300), Var(1e300)]), ord=3),  # strict
    "functools": lambda library: functools.partial(cr.exp, Var(BAD))(),  # strict
    "sorted": lambda library: sorted([BAD], key=lambda x: cr.exp(Var(x)).value),  # strict
    "an installed package": lambda library: library.call(cr.exp, Var(BAD)),  # strict
    "a transform": lambda library: library.call(cr.grad(cr.exp), BAD),  # strict
}


@pytest.mark.parametrize("route", ROUTES)
def test_strict_names_the_line_that_called(route, library):
    expected = places("strict")[list(ROUTES).index(route)]
    with cr.strict(), pytest.raises(NonFiniteError) as caught:
        ROUTES[route](library)
    assert f"{HERE}, line {expected}" in str(caught.value)


TRACED = {
    "numpy": lambda x, library: np.sort(np.array([x, x])),  # trace
    "builtin": lambda x, library: max([x, x]),  # trace
    "an installed package": lambda x, library: library.call(float, x),  # trace
    "nn": lambda x, library: nn.MLP(1, [1, 1], activation=float)([x]),  # trace
}


@pytest.mark.parametrize("route", TRACED)
def test_trace_error_names_the_line_that_called(route, library):
    expected = places("trace")[list(TRACED).index(route)]
    with pytest.raises(TraceError) as caught:
        cr.compile(lambda x: TRACED[route](x, library))(1.0)
    assert f"{HERE}, line {expected}" in str(caught.value)


def test_every_folder_of_ours_is_known_and_no_other():
    for module in (cr, nn, nn.layers, viz, blame):
        assert blame._is_library(module.__file__)
    for module in (contextlib, np, pytest, threading):
        assert blame._is_library(module.__file__), module
    own = [HERE, "<stdin>", "<string>", "<doctest x[0]>", "/tmp/ipykernel_1/2.py", f"{Path(cr.__file__).parent}s/x.py"]
    for path in own:
        assert not blame._is_library(str(path)), path
    assert blame._is_library("<frozen runpy>")
    assert not blame._is_library(str(Path(sysconfig.get_path("scripts")) / "train"))


def test_where_all_is_library_the_outermost_is_named():
    found = []
    code = compile("found.append(user_line())", "<frozen other>", "exec")
    run = functools.partial(exec, code, {"found": found, "user_line": blame.user_line})
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found[-1].startswith(threading.__file__)
