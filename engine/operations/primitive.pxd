# C types for primitive.py, read by Cython at installation: what a call reads first. All else is in the dictionary.
cdef class Primitive:
    cdef dict __dict__
    cdef public object evaluate
    cdef public object fast
    cdef public object fast_type
    cdef public Py_ssize_t arity

cdef class Reduction(Primitive):
    cdef public object empty
    cdef public int iterables
