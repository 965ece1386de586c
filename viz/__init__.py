"""Draw the graph behind a `Var` (as DOT text, as an SVG, PNG or PDF file, in notebooks), and plot trainings.

>>> from chainrule import Var, viz
>>> x, y = Var(2.0, label="x"), Var(3.0, label="y")
>>> z = (x**2 + 3) ** 2 + y
>>> z.backward()
>>> viz.draw(z).source.splitlines()[0]
'digraph "Computation graph of 9 nodes" {'
"""

from .animation import animate as animate
from .boundary import plot_decision_boundary as plot_decision_boundary
from .explain import explain as explain
from .formula import formula as formula
from .gradients import plot_gradients as plot_gradients
from .notebook import mimebundle as mimebundle
from .paths import chain as chain
from .plots import plot_fit as plot_fit
from .plots import plot_history as plot_history
from .render import render as render
from .render import to_svg as to_svg
from .surface import plot_surface as plot_surface
from .text import draw as draw
