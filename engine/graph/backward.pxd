# C types for backward.py, read by Cython at installation.
cimport cython

from chainrule.graph.var cimport Var

cdef extern from "nodes.h":
    void tape_start(object node)
    object tape_back(double mark)
    double _CLOSED "NODE_CLOSED"

cdef extern from "Python.h":
    int check_signals "PyErr_CheckSignals" () except -1

cdef double _clock

@cython.locals(node=Var, a=Var, args=tuple, partials=tuple, k=Py_ssize_t, steps=Py_ssize_t, pending=Py_ssize_t, seen=double, g=double, d=double)
cdef bint _read_back(Var root, double seed, list leaves, list before) except -1
cdef Py_ssize_t _reach(Var arg, double seen, list leaves, list before) except -1

@cython.locals(state=list, k=Py_ssize_t)
cdef object _derivatives(Var root, object only, double start)

@cython.locals(seen=double, a=Var, b=Var, older=bint)
cdef list _order(Var root, list leaves, list before, list state, double start)

@cython.locals(node=Var, a=Var, b=Var, args=tuple, partials=tuple, end=Py_ssize_t, k=Py_ssize_t, g=double, d=double)
cdef object _propagate(list order)
