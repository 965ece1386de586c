# C types for backward.py, read by Cython at installation.
cimport cython

from chainrule.var cimport Var

cdef extern from "nodes.h":
    void tape_start(object node)
    object tape_back(long mark)

cdef extern from "Python.h":
    int check_signals "PyErr_CheckSignals" () except -1

cdef long _clock

@cython.locals(node=Var, a=Var, b=Var, more=tuple, args=tuple, partials=tuple, k=Py_ssize_t, steps=Py_ssize_t, pending=Py_ssize_t, seen=long, g=double, d=double)
cdef bint _read_back(Var root, double seed, list leaves, list before) except -1
cdef Py_ssize_t _reach(Var arg, long seen, list leaves, list before) except -1

cdef object _sweep(Var root, double seed, object only)

@cython.locals(seen=long, a=Var, b=Var, more=tuple, wants_a=bint, wants_b=bint)
cdef list _order(Var root, list leaves, list before, list marks)

@cython.locals(node=Var, a=Var, b=Var, leaf=Var, more=tuple, args=tuple, partials=tuple, position=Py_ssize_t, k=Py_ssize_t, g=double, d=double)
cdef object _propagate(list order)
