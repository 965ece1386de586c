"""Draw the graph behind a `Var`: as DOT text, as an SVG, PNG or PDF file, and in notebooks.

>>> from chainrule import Var, viz
>>> x, y = Var(2.0, label="x"), Var(3.0, label="y")
>>> z = (x**2 + 3) ** 2 + y
>>> z.backward()
>>> viz.draw(z).source.splitlines()[0]
'digraph "Computation graph of 9 nodes" {'
"""

from .explain import explain as explain
from .formula import formula as formula
from .notebook import mimebundle as mimebundle
from .paths import chain as chain
from .render import render as render
from .render import to_svg as to_svg
from .text import draw as draw
