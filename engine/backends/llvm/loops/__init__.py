"""Generate code for programs that hold loops: functions for each inner program, called once for every iteration.

What a loop reads and writes is memory at regular distances; most of this folder decides where numbers are, and whether
samples or iterations share a vector. Steps are written in the order in which they come. `straight` is the generator for
programs without loops: there nearly all values are registers, and the order of the steps decides how many are needed.
Neither imports the other; what both need is in the folder around them.
"""

from .matrices import with_products as with_products
from .module import large_tables as large_tables
from .nest import Nest as Nest
from .results import with_whole_results as with_whole_results
from .turning import turned as turned
