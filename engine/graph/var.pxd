# C types for var.py, read by Cython at installation. The decorators of the class stand in var.py: here they are ignored.
cimport cython

cdef extern from "math.h" nogil:
    double c_cos "cos" (double)
    double c_cosh "cosh" (double)
    double c_exp "exp" (double)
    double c_log "log" (double)
    double c_pow "pow" (double, double)
    double c_sin "sin" (double)
    double c_sqrt "sqrt" (double)
    double c_tanh "tanh" (double)

cdef extern from "slopes.h" nogil:
    double c_power_slope "power_slope" (double, double)

cdef extern from "nodes.h":
    object new_node "node_new" (double value, object op, object a, object b, double da, double db)
    int install_nodes "node_install" (object type) except -1
    double _CLOSED "NODE_CLOSED"

cdef int _watched
cdef double _INF, _NAN
cdef double _FRESH, _LAST_DIGIT
cdef double _birth
cdef Var _NOTHING
cdef object _ADD, _SUB, _MUL, _DIV, _NEG, _POW, _EXP, _LOG, _SQRT, _SIN, _COS, _TANH
cdef object _SIGMOID, _RELU, _ABS, _MAXIMUM, _MINIMUM, _SUM, _DOT

cdef class Var:
    cdef double _value
    cdef double _grad
    cdef double _da
    cdef double _db
    cdef object _op
    cdef object _a
    cdef Var _b
    cdef double _mark

cdef double _number(arg) except? -1.0
cdef bint _wants_gradient(arg) except -1
cdef double _div(double x, double y)
cdef double _closed(double birth)
cdef double _made_at(Var node)
cdef Var _leaf(double value, bint requires)
cdef Var _unary(object row, double value, Var a, double da)
cdef Var _binary(object row, double value, Var a, Var b, double da, double db)
cdef Var _wide(object row, double value, tuple args, tuple partials)
cdef object _extremum(object row, Var x, object other, bint greater)

@cython.locals(total=double, wanted=bint, x=Var)
cdef object _run_sum(tuple args)

@cython.locals(total=double, wanted=bint, x=Var, k=Py_ssize_t, half=Py_ssize_t, values=list)
cdef object _run_dot(tuple args)
cdef object _any_wants_gradient(tuple args)
