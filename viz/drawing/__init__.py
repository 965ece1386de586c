"""Draw graphs and programs: what there is to see, what is folded, how it reads as DOT text, and pictures of that."""

from .dot import draw as draw
from .folding import argument_order as argument_order
from .folding import pairs_arguments as pairs_arguments
from .images import picture_target as picture_target
from .images import render as render
from .images import to_svg as to_svg
from .notebook import mimebundle as mimebundle
from .picture import gather as gather
from .placing import Arrow as Arrow
from .placing import Frame as Frame
from .placing import Shape as Shape
from .placing import placed as placed
from .units import UnitPath as UnitPath
from .units import labelled_units as labelled_units
from .units import path_of as path_of
from .writer import order_of as order_of
