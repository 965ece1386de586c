"""Draw the graph behind a `Var`, or a model (DOT text, SVG, PNG, PDF, in notebooks), and plot trainings.

>>> from chainrule import Var, viz
>>> x, y = Var(2.0, label="x"), Var(3.0, label="y")
>>> z = (x**2 + 3) ** 2 + y
>>> z.backward()
>>> viz.draw(z).source.splitlines()[0]
'digraph "Computation graph of 9 nodes" {'
"""

from typing import NoReturn

from chainrule import misspelt as _misspelt

from .drawing import to_svg as to_svg
from .formulas import chain as chain
from .formulas import formula as formula
from .pages import explain as explain
from .pages import playground as playground
from .plots import animate as animate
from .plots import plot_attention as plot_attention
from .plots import plot_decision_boundary as plot_decision_boundary
from .plots import plot_fit as plot_fit
from .plots import plot_gradients as plot_gradients
from .plots import plot_history as plot_history
from .plots import plot_surface as plot_surface
from .showing import draw as draw
from .showing import mimebundle as mimebundle
from .showing import render as render
from .showing import show as show


def __getattr__(name: str) -> NoReturn:
    """Say of a name that is missing which one may have been meant."""
    own = [known for known in globals() if not known.startswith("_")]
    advice = _misspelt.advice(name, _misspelt.PICTURES, own, "viz.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{advice}")
