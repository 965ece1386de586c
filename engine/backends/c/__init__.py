"""Write a program as one C99 file that allocates nothing: `source` returns it, `write` adds its header."""

from .export import source as source
from .export import write as write
