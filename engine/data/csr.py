"""Make SciPy sparse arrays of numbers whose places are known, for the sparse derivatives of a program.

Which numbers may differ from 0 is found once, when a function is traced; each call fills these places.
"""

from __future__ import annotations

import copy
import importlib
import itertools
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import needing
from ..forking import kept
from ..pickling import Reduced, pickled_as, unpickled
from .numbers import is_symbolic


class Places:
    """List the entries of a matrix that may differ from 0, row by row, those of a row in order of their columns.

    Args:
        shape: the matrix's.
        starts: before how many entries each row begins, and how many there are: as 64-bit integers.
        columns: which column each entry is in, likewise.

    >>> places = Places.of_rows((2, 3), [[0, 2], [1]])
    >>> places.size, list(places)
    (3, [(0, 0), (0, 2), (1, 1)])
    """

    # No dataclass, which takes a millisecond to make: each import of the package would wait for it.
    def __init__(self, shape: tuple[int, int], starts: bytes, columns: bytes) -> None:
        self.shape, self.starts, self.columns = shape, starts, columns

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Places):
            return NotImplemented
        return (self.shape, self.columns, self.starts) == (other.shape, other.columns, other.starts)

    def __hash__(self) -> int:
        return hash((self.shape, self.columns, self.starts))

    def __repr__(self) -> str:
        return f"<places of {self.size} numbers in {self.shape}>"

    @staticmethod
    def of_rows(shape: tuple[int, int], rows: Sequence[Sequence[int]]) -> Places:
        """Return the places of entries that are listed for each row, in order."""
        starts = itertools.accumulate(map(len, rows), initial=0)
        return Places(shape, array("q", starts).tobytes(), array("q", itertools.chain.from_iterable(rows)).tobytes())

    @staticmethod
    def of_arrays(shape: tuple[int, int], starts: Any, columns: Any) -> Places:
        """Return the places that NumPy arrays of integers tell."""
        return Places(shape, starts.astype("int64").tobytes(), columns.astype("int64").tobytes())

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.columns) // 8

    def rows(self) -> Iterator[list[int]]:
        """Yield the columns of each row's entries."""
        columns = memoryview(self.columns).cast("q")
        for first, last in itertools.pairwise(memoryview(self.starts).cast("q")):
            yield columns[first:last].tolist()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((row, column) for row, own in enumerate(self.rows()) for column in own)

    def __reduce__(self) -> Reduced:
        return unpickled, ("places", self.shape, self.columns, self.starts)

    @kept
    def _pattern(self) -> Any:
        """The matrix, filled with zeros: its indices are as SciPy chooses them."""
        numpy, sparse = importlib.import_module("numpy"), scipy_sparse()
        kind = sparse.get_index_dtype(maxval=max(self.size, *self.shape))
        indices, starts = (numpy.frombuffer(data, numpy.int64).astype(kind) for data in (self.columns, self.starts))
        found = sparse.csr_array((numpy.zeros(self.size), indices, starts), shape=self.shape)
        found.has_canonical_format = True  # nobody has to look
        return found

    def array(self, numbers: Any) -> Any:
        """Return a SciPy CSR array of floats at these places, with its own memory; for traced numbers, a `Sparse`.

        Errors: `TypeError` for Vars, of which SciPy makes no arrays.
        """
        scipy_sparse()
        if hasattr(type(numbers), "__whole__"):
            return Sparse(self, numbers)
        if not hasattr(numbers, "dtype") and not set(map(type, numbers)) <= {float}:
            if not any(map(is_symbolic, numbers)):
                raise TypeError("sparse=True expected arguments of floats but got Vars; nest without sparse")
            return Sparse(self, numbers)
        return self.filled(importlib.import_module("numpy").array(numbers, float))

    def filled(self, data: Any) -> Any:
        """Return a SciPy CSR array that holds an array of doubles, no copy of it."""
        found = copy.copy(self._pattern)  # the constructor looks at all indices
        # Copies, since methods of the array may change them in place.
        found.data, found.indices, found.indptr = data, found.indices.copy(), found.indptr.copy()
        return found


@pickled_as("places")
def _places(shape: Any, columns: Any, starts: bytes | None = None) -> Places:
    # Older pickles list the columns of each row.
    return Places.of_rows(shape, columns) if starts is None else Places(shape, starts, columns)


class Sparse:
    """The numbers of a sparse matrix, row by row, while they are traced."""

    def __init__(self, places: Places, numbers: Sequence[Any]) -> None:
        self.places, self.numbers = places, numbers


def scipy_sparse() -> Any:
    """Return SciPy's `sparse` module."""
    with needing("sparse=True", "scipy"):
        return importlib.import_module("scipy.sparse")
