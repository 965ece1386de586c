# C types for primitive.py, read by Cython at installation: what a call reads first. All else is in the dictionary.
cdef extern from *:
    """
    /* Calls of a row with arguments by name have them placed first; calls without pay for one comparison. */
    static ternaryfunc call_by_place;

    static PyObject *call_by_name(PyObject *row, PyObject *args, PyObject *named) {
        PyObject *placed, *result;
        if (named == NULL || PyDict_GET_SIZE(named) == 0)
            return call_by_place(row, args, NULL);
        placed = PyObject_CallMethod(row, "placed", "OO", args, named);
        if (placed == NULL)
            return NULL;
        result = call_by_place(row, placed, NULL);
        Py_DECREF(placed);
        return result;
    }

    static void take_names(PyObject *kind) {
        call_by_place = ((PyTypeObject *)kind)->tp_call;
        ((PyTypeObject *)kind)->tp_call = call_by_name;
    }
    """
    void take_names(object kind)

cdef class Primitive:
    cdef dict __dict__
    cdef public object evaluate
    cdef public object fast
    cdef public object fast_type
    cdef public Py_ssize_t arity

cdef class Reduction(Primitive):
    cdef public object empty
    cdef public int iterables
