"""Call native code with arrays and numbers as they are: what a compiled function tries first.

Cython builds this module where there is a C compiler; without it, calls take the longer way through ctypes.
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free

ctypedef void (*Run)(void **arguments, long long n, double *out, void *work) noexcept nogil

cdef enum:
    MOST = 16  # arguments

MOST_ARGUMENTS = MOST


cdef class _Memory:
    """Hold zeroed memory that starts at a multiple of 64, as full vectors need."""

    cdef void *raw
    cdef void *start

    def __cinit__(self, size_t size):
        self.raw = calloc(size + 64, 1)
        if self.raw == NULL:
            raise MemoryError(f"expected {size} bytes of memory for a compiled function but there are none")
        self.start = <void *> ((<uintptr_t> self.raw + 63) & ~<uintptr_t> 63)

    def __dealloc__(self):
        free(self.raw)


cdef class Entry:
    """Run a kernel on arguments of one structure.

    Args:
        native: who keeps the code alive; the address of ``run(arguments, n, out, work)``; the bytes of memory `work`;
            the list of what Python's functions raised that native code called; the number of samples from which on
            threads share the work.
        shapes: for each positional argument the shape of a sample; of a number, ().
        batched: for each positional argument, whether it carries a leading axis of samples.
        outputs: how many numbers a sample has.
        per_sample: whether each sample has its own.
        results: the class numpy.ndarray; the function numpy.empty; the function that makes the result of the numbers
            and how many samples there are.
        exact: None, or what returns the entry to call instead where a result is nan.
    """

    cdef Run run
    cdef size_t work
    cdef list spare, errors, shapes
    cdef object owner, array, empty, read, exact
    cdef Py_ssize_t count, outputs, largest
    cdef bint per_sample
    cdef bint batched[MOST]

    def __init__(self, native, shapes, batched, outputs, per_sample, results, exact):
        if len(shapes) > MOST:
            raise ValueError(f"Entry expected at most {MOST} arguments but got {len(shapes)}")
        self.owner, address, self.work, self.errors, self.largest = native
        self.run, self.spare = <Run> <uintptr_t> address, []
        self.count, self.outputs, self.per_sample = len(shapes), outputs, per_sample
        self.shapes = [tuple(shape) for shape in shapes]
        self.array, self.empty, self.read = results
        self.exact = exact
        for k, flag in enumerate(batched):
            self.batched[k] = flag

    def call(self, tuple args):
        """Return the result, or None where the arguments are of another kind, and nothing was done."""
        cdef Py_buffer views[MOST]
        cdef Py_buffer target
        cdef void *addresses[MOST]
        cdef double numbers[MOST]
        cdef Py_ssize_t n = -1, k, held = 0, size
        cdef int axis, lead
        cdef bint fits = len(args) == self.count, doubtful = False
        cdef _Memory memory
        cdef tuple shape
        cdef Py_buffer *view
        if not fits:
            return None
        try:
            for k in range(self.count):
                arg = args[k]
                shape = <tuple> self.shapes[k]
                lead = self.batched[k]
                if type(arg) is self.array:
                    view = &views[held]
                    try:
                        PyObject_GetBuffer(arg, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
                    except (BufferError, ValueError):
                        return None  # not contiguous, or of a kind that no buffer has
                    held += 1
                    if view.format[0] != b"d" or view.format[1] or view.ndim != len(shape) + lead or not view.ndim:
                        return None
                    if lead:
                        if n >= 0 and view.shape[0] != n:
                            return None
                        n = view.shape[0]
                    for axis in range(len(shape)):
                        if view.shape[axis + lead] != <Py_ssize_t> shape[axis]:
                            return None
                    addresses[k] = view.buf
                elif PyFloat_Check(arg) and not lead and not shape:
                    numbers[k] = PyFloat_AS_DOUBLE(arg)
                    addresses[k] = &numbers[k]
                else:
                    return None
            if n < 0:
                n = 1
            if n >= self.largest:
                return None
            memory = self.spare.pop() if self.spare else _Memory(self.work)
            size = self.outputs * n if self.per_sample else self.outputs
            out = self.empty(size)
            PyObject_GetBuffer(out, &target, PyBUF_C_CONTIGUOUS)
            with nogil:
                self.run(addresses, n, <double *> target.buf, memory.start)
                if self.exact is not None:
                    doubtful = has_nan(<double *> target.buf, size)
            PyBuffer_Release(&target)
            self.spare.append(memory)
        finally:
            for k in range(held):
                PyBuffer_Release(&views[k])
        if self.errors:
            error = self.errors[0]
            self.errors.clear()
            raise error
        if doubtful:
            return self.exact().call(args)
        return self.read(out, n)


cdef bint has_nan(const double *numbers, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t k
    cdef bint found = False
    for k in range(size):
        found |= numbers[k] != numbers[k]
    return found
