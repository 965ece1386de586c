# C types for arguments.pyx, read by Cython at installation.


cdef class Memory:
    cdef double *start
    cdef size_t size


cdef class Reader:
    cdef int kind
    cdef bint flat  # numbers alone
    cdef Py_ssize_t size, count
    cdef tuple shape, keys
    cdef list parts
    cdef object made, held
    cdef Memory spare

    cdef Memory memory(self, size_t size)
    cdef keep(self, Memory memory)
    cdef bint read(self, value, double *target) except -1
    cdef list items(self, value)
    cdef Py_ssize_t rows(self, value) except -3
    cdef bint read_batch(self, value, Py_ssize_t n, double *target, Py_ssize_t apart) except -1


cdef void narrow(double *numbers, Py_ssize_t size, int width) noexcept nogil
cdef list copied(list readers, const bint *batched, tuple args, Py_ssize_t n, void **addresses, int width)
cdef kept(list copies)
