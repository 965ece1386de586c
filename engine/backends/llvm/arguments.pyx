"""Copy arguments that are no arrays as native code takes them to memory for native code, in the order of their structure.

Numbers of Python's and NumPy's, lists, tuples, dicts, records, and arrays of C's kinds of number with any strides; a
batch of these, too. What is of another structure than expected is left to the longer way, which names what is wrong.
"""

from cpython.bool cimport PyBool_Check
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.long cimport PyLong_AsDouble, PyLong_CheckExact
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strchr

import numpy

cdef enum:  # kinds of structure
    ONE
    ARRAY
    SEQUENCE
    MAPPING
    RECORD
    CONSTANT

cdef dict _KINDS = {
    "number": ONE, "array": ARRAY, "list": SEQUENCE, "tuple": SEQUENCE, "dict": MAPPING, "record": RECORD,
    "none": CONSTANT, "constant": CONSTANT,
}
KINDS_READ = frozenset(_KINDS)
cdef object array_type = numpy.ndarray
cdef frozenset scalar_types = frozenset([numpy.dtype(code).type for code in "defbBhHiIlLqQ?"])


cdef size_t KEPT = 1 << 23  # numbers, for which memory is kept between calls: new memory costs more than the copy


cdef class Memory:
    """Hold numbers that an argument was copied to, also while a thread goes on after the call was interrupted."""

    def __cinit__(self, size_t size):
        self.size = size
        self.start = <double *> malloc(8 * (size or 1))
        if self.start == NULL:
            raise MemoryError(f"expected {8 * size} bytes of memory for an argument but there are none")

    def __dealloc__(self):
        free(self.start)


cdef class Reader:
    """Copy an argument of one structure, or a batch of such samples, to memory; what is of another is left alone."""

    def __init__(self, structure):
        self.kind, self.size, self.shape = _KINDS[structure.kind], structure.size, tuple(structure.shape)
        self.keys, self.held = structure.keys, structure.build(()) if self.kind == CONSTANT else None
        self.made = {"list": list, "tuple": tuple, "dict": dict}.get(structure.kind, structure.made)
        self.count, self.flat = len(structure.parts), self.kind == SEQUENCE and structure.of_numbers
        self.parts = [] if self.flat else [Reader(part) for part in structure.parts]

    cdef Memory memory(self, size_t size):
        """Return memory for so many numbers: that of an earlier call, where there is enough."""
        cdef Memory found = self.spare
        self.spare = None
        return Memory(size) if found is None or found.size < size else found

    cdef keep(self, Memory memory):
        """Keep memory for the next call, once nobody reads it any more."""
        if memory.size <= KEPT:
            self.spare = memory

    cdef bint read(self, value, double *target) except -1:
        """Copy the numbers of a value, and tell whether it is of this structure."""
        cdef Py_ssize_t k = 0
        cdef Reader part
        if self.kind == ONE:
            return read_number(value, target)
        if self.kind == ARRAY:
            return read_array(value, self.shape, -1, target, 0)
        if self.kind == CONSTANT:
            return self.held is value or (type(value) is type(self.held) and value == self.held)
        if type(value) is not self.made:
            return False
        if self.flat:
            if len(value) != self.count:
                return False
            if self.made is list:
                for item in <list> value:
                    if not read_number(item, target + k):
                        return False
                    k += 1
            else:
                for item in <tuple> value:
                    if not read_number(item, target + k):
                        return False
                    k += 1
            return True
        items = self.items(value)
        if items is None:
            return False
        for item in <list> items:
            part = <Reader> self.parts[k]
            if not part.read(item, target):
                return False
            target += part.size
            k += 1
        return True

    cdef list items(self, value):
        """List what a value of this class holds, None where the keys are others or in another order."""
        cdef list found
        if self.kind == RECORD:
            return [getattr(value, key) for key in self.keys]
        if self.kind == MAPPING and tuple(value) != self.keys:
            return None
        found = list(value.values()) if self.kind == MAPPING else list(value)
        return found if len(found) == self.count else None

    cdef Py_ssize_t rows(self, value) except -3:
        """Return how many samples a batch holds, -1 where it is a number, which all samples share, -2 if it is none."""
        cdef Py_ssize_t found
        if type(value) is list:
            return len(<list> value) if self.kind == ONE or value else -2
        if type(value) is array_type:
            return value.shape[0] if value.ndim else -1
        if self.kind == ONE:
            return -1
        if self.kind in (ARRAY, CONSTANT) or type(value) is not self.made:
            return -2
        for part, item in zip(self.parts, self.items(value) or ()):
            if (<Reader> part).kind != CONSTANT:
                return (<Reader> part).rows(item)
        return -2

    cdef bint read_batch(self, value, Py_ssize_t n, double *target, Py_ssize_t apart) except -1:
        """Copy n samples, whose first numbers are so far apart, and tell whether they are of this structure."""
        cdef Py_ssize_t k = 0
        cdef Reader part
        if type(value) is list:
            if len(<list> value) != n or apart != self.size:
                return False  # within a tuple or dict lists are refused
            for item in <list> value:
                if not self.read(item, target + k * apart):
                    return False
                k += 1
            return True
        if self.kind == CONSTANT:
            return self.read(value, target)
        if type(value) is array_type and value.ndim:
            return self.kind <= ARRAY and read_array(value, self.shape, n, target, apart)
        if self.kind == ONE:
            if apart != 1 or not n or not read_number(value, target):
                return False
            for k in range(1, n):
                target[k] = target[0]
            return True
        if self.kind == ARRAY or type(value) is not self.made:
            return False
        items = self.items(value)
        if items is None:
            return False
        for item in <list> items:
            part = <Reader> self.parts[k]
            if type(item) is list or not part.read_batch(item, n, target, apart):
                return False
            target += part.size
            k += 1
        return True


cdef bint read_number(value, double *target) except -1:
    """Read a real number of Python's or NumPy's; tell whether it is one that a double holds."""
    if PyFloat_Check(value):
        target[0] = PyFloat_AS_DOUBLE(value)
        return True
    if PyLong_CheckExact(value) or PyBool_Check(value):
        try:
            target[0] = PyLong_AsDouble(value)
        except OverflowError:
            return False  # to be named
        return True
    if type(value) in scalar_types or (type(value) is array_type and not value.ndim and value.dtype.type in scalar_types):
        target[0] = float(value)
        return True
    return False


cdef bint read_array(value, tuple shape, Py_ssize_t n, double *target, Py_ssize_t apart) except -1:
    """Copy an array of that shape, or one of n samples whose first numbers are so far apart (n is -1 without a batch).

    One of truth values it leaves to the slow way: code gets it as conditions, so it has a program of its own.
    """
    cdef Py_buffer view
    cdef Py_ssize_t k
    cdef int axis, lead = n >= 0
    cdef bint fits
    if type(value) is not array_type:
        return False
    try:
        PyObject_GetBuffer(value, &view, PyBUF_FORMAT | PyBUF_STRIDES)
    except (BufferError, ValueError):
        return False  # of a kind that no buffer has
    fits = view.ndim == len(shape) + lead and strchr("dfbBhHiIlLqQ", view.format[0]) != NULL and not view.format[1]
    if fits and lead:
        fits = view.shape[0] == n
    if fits:
        for axis in range(len(shape)):
            fits = fits and view.shape[axis + lead] == <Py_ssize_t> shape[axis]
    if fits and lead and view.ndim == 1 and apart == 1:
        copy(view.format[0], <const char *> view.buf, 1, view.shape, view.strides, target)
    elif fits and lead:
        for k in range(n):
            copy(
                view.format[0], <const char *> view.buf + k * view.strides[0], view.ndim - 1, view.shape + 1,
                view.strides + 1, target + k * apart,
            )
    elif fits:
        copy(view.format[0], <const char *> view.buf, view.ndim, view.shape, view.strides, target)
    PyBuffer_Release(&view)
    return fits


cdef double *copy(
    char kind, const char *source, int axes, const Py_ssize_t *shape, const Py_ssize_t *strides, double *target
) noexcept nogil:
    """Copy numbers of one of C's kinds in C order; return the place after them."""
    cdef Py_ssize_t k, one = 1, none = 0
    if not axes:
        return copy(kind, source, 1, &one, &none, target)
    if axes > 1:
        for k in range(shape[0]):
            target = copy(kind, source + k * strides[0], axes - 1, shape + 1, strides + 1, target)
        return target
    if kind == b"d":
        convert(<const double *> source, shape[0], strides[0], target)
    elif kind == b"f":
        convert(<const float *> source, shape[0], strides[0], target)
    elif kind == b"b":
        convert(<const signed char *> source, shape[0], strides[0], target)
    elif kind == b"B":
        convert(<const unsigned char *> source, shape[0], strides[0], target)
    elif kind == b"h":
        convert(<const short *> source, shape[0], strides[0], target)
    elif kind == b"H":
        convert(<const unsigned short *> source, shape[0], strides[0], target)
    elif kind == b"i":
        convert(<const int *> source, shape[0], strides[0], target)
    elif kind == b"I":
        convert(<const unsigned int *> source, shape[0], strides[0], target)
    elif kind == b"l":
        convert(<const long *> source, shape[0], strides[0], target)
    elif kind == b"L":
        convert(<const unsigned long *> source, shape[0], strides[0], target)
    elif kind == b"q":
        convert(<const long long *> source, shape[0], strides[0], target)
    elif kind == b"Q":
        convert(<const unsigned long long *> source, shape[0], strides[0], target)
    return target + shape[0]


ctypedef fused Number:
    double
    float
    signed char
    unsigned char
    short
    unsigned short
    int
    unsigned int
    long
    unsigned long
    long long
    unsigned long long


cdef void convert(const Number *source, Py_ssize_t count, Py_ssize_t stride, double *target) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(count):
        target[k] = <double> (<const Number *> (<const char *> source + k * stride))[0]


cdef void narrow(double *numbers, Py_ssize_t size, int width) noexcept nogil:
    """Round numbers in place to so many bytes: those of floats or, as they are, of doubles."""
    cdef Py_ssize_t k
    cdef float number
    if width == sizeof(double):
        return
    for k in range(size):
        number = <float> numbers[k]
        memcpy(<char *> numbers + k * sizeof(float), &number, sizeof(float))


cdef list copied(list readers, const bint *batched, tuple args, Py_ssize_t n, void **addresses, int width):
    """Copy the arguments that have no address yet, and return who read them, with their memory; None where one is of another structure.

    Numbers are so many bytes wide.
    """
    cdef Py_ssize_t k
    cdef Reader reader
    cdef Memory memory
    cdef list found = []
    cdef bint fits
    for k in range(len(readers)):
        if addresses[k] != NULL:
            continue
        reader = <Reader> readers[k]
        if batched[k]:
            if n < 0:
                return None  # no argument tells how many samples there are
            memory = reader.memory(reader.size * n)
            fits = reader.read_batch(args[k], n, memory.start, reader.size)
        else:
            memory = reader.memory(reader.size)
            fits = reader.read(args[k], memory.start)
        if not fits:
            return None
        narrow(memory.start, reader.size * n if batched[k] else reader.size, width)
        addresses[k] = memory.start
        found.append((reader, memory))
    return found


cdef kept(list copies):
    """Keep the memory that arguments were copied to for the next call."""
    for reader, memory in copies:
        (<Reader> reader).keep(<Memory> memory)
