"""Draw graphs and programs: what there is to see, what is folded, how it reads as DOT text, and pictures of that."""

from .dot import draw as draw
from .images import render as render
from .images import to_svg as to_svg
from .notebook import mimebundle as mimebundle
from .units import path_of as path_of
from .writer import order_of as order_of
