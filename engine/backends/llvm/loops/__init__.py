"""Write programs with loops: a function for each body, and how lanes and memory go around it."""

from .nest import Nest as Nest
