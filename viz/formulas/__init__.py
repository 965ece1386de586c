"""Write formulas of what was computed and of its derivatives, and read expressions that people type."""

from .chain_rule import chain as chain
from .expression import CONSTANTS as CONSTANTS
from .expression import LISTS as LISTS
from .expression import ExpressionError as ExpressionError
from .expression import evaluate as evaluate
from .expression import functions as functions
from .expression import variables as variables
from .notation import ATOM as ATOM
from .notation import Piece as Piece
from .notation import number as number
from .notation import write as write
from .rules import partial_pieces as partial_pieces
from .writing import Script as Script
from .writing import formula as formula
from .writing import is_symbol as is_symbol
from .writing import left_to_right as left_to_right
