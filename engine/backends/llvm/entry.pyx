"""Call native code with arguments as they come: what a compiled function tries first.

Arrays in C order of the numbers that the code takes are read where they are, all else by `arguments.Reader`.

Cython builds this module where there is a C compiler; without it, calls take the longer way through ctypes.
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from libc.math cimport NAN
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free

import threading

import numpy

from chainrule.backends.llvm.arguments cimport Reader, copied, kept, narrow

from ...forking import at_fork
from .workers import submit
from .arguments import KINDS_READ

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long long tv_sec
        long tv_nsec
    int TIME_UTC
    int timespec_get(timespec *, int)

cdef extern from "pythread.h" nogil:  # Cython's own declaration asks for the interpreter's lock
    unsigned long PyThread_get_thread_ident()

cdef extern from "crew.h" nogil:
    ctypedef struct Job "crew_job":
        void (*work)(Job *, long) noexcept nogil
        long parts
    long crew_coming
    long crew_add "CREW_ADD"(long *place, long more)
    long crew_post(Job *job, long wanted)
    long crew_take(Job *job)
    void crew_withdraw(Job *job)
    bint crew_left(Job *job)
    void crew_linger(long long patience)
    void crew_forget()

cdef extern from *:
    """
    #if defined(__GNUC__) && !defined(__clang__)
    #define WITH_VECTORS __attribute__((optimize("O3")))  /* clang writes them anyway */
    #else
    #define WITH_VECTORS
    #endif
    #define FIND_NAN(attributes, name, number) \\
    attributes static int name(const number *numbers, Py_ssize_t size) { \\
        Py_ssize_t k = 0, i, j; \\
        for (; k + 64 <= size; k += 64) { \\
            number sums[8] = {0};  /* that are nan if any number is not finite */ \\
            for (i = 0; i < 64; i += 8) for (j = 0; j < 8; j++) sums[j] += numbers[k + i + j] * 0; \\
            for (j = 1; j < 8; j++) sums[0] += sums[j]; \\
            if (sums[0] != sums[0]) \\
                for (j = 0; j < 64; j++) if (numbers[k + j] != numbers[k + j]) return 1; \\
        } \\
        for (; k < size; k++) if (numbers[k] != numbers[k]) return 1; \\
        return 0; \\
    }
    FIND_NAN(WITH_VECTORS, nan_in_doubles, double)
    FIND_NAN(WITH_VECTORS, nan_in_floats, float)
    #if defined(__GNUC__) && defined(__x86_64__)
    #define WITH_LONG_VECTORS __attribute__((target("avx2"))) WITH_VECTORS
    FIND_NAN(WITH_LONG_VECTORS, nan_in_doubles_by_fours, double)
    FIND_NAN(WITH_LONG_VECTORS, nan_in_floats_by_eights, float)
    #endif
    static int has_nan(const void *numbers, Py_ssize_t size, int width) {
    #if defined(__GNUC__) && defined(__x86_64__)
        if (size >= 64 && __builtin_cpu_supports("avx2"))
            return width == sizeof(float) ? nan_in_floats_by_eights(numbers, size)
                                          : nan_in_doubles_by_fours(numbers, size);
    #endif
        return width == sizeof(float) ? nan_in_floats(numbers, size) : nan_in_doubles(numbers, size);
    }
    """
    bint has_nan(const void *numbers, Py_ssize_t size, int width) noexcept nogil

ctypedef void (*Run)(void **arguments, long long n, void *out, void *work) noexcept nogil
ctypedef void (*Part)(void *work, long long t, long long first, long long last, long long n, void *out) noexcept nogil
ctypedef void (*Finish)(void *work, long long parts, long long n, void *out) noexcept nogil
ctypedef void (*LoopPart)(void *context, long long place, void *frame, void *watch) noexcept nogil

cdef enum:
    MOST = 16  # arguments
    AXES = 4  # of an array that is read where it is
    UNITS = 32  # of a result, in which threads look for a nan themselves
    WATCH = 64  # bytes of a watch, of which it uses some
    PERIOD = 50_000_000  # nanoseconds between two looks at signals
    SEARCHED = 16_384  # numbers in which a thread looks for a nan at once
    PATIENCE = 1_000_000  # nanoseconds in which a helper waits for the next job

MOST_ARGUMENTS = MOST
cdef object array_type = numpy.ndarray
cdef object empty = numpy.empty
running = threading.local()  # .work is that of the call whose code a thread runs
cdef unsigned long main_thread = threading.main_thread().ident


def begin_in_child():
    """Know the only thread of a forked process."""
    global main_thread
    main_thread = PyThread_get_thread_ident()
    crew_forget()


at_fork(after_in_child=begin_in_child)


cdef struct Watch:
    # At the start of each worker's memory; watch.py says what machine code does with it.
    long long left
    long long *flag
    int (*check)(Watch *watch) noexcept nogil
    void *work
    long long seen  # when a thread last asked whether there are signals, in nanoseconds
    void (*share)(
        Watch *watch, LoopPart part, void *context, long long parts, void *frame, long long size
    ) noexcept nogil


cdef class Work:
    """Hold what one call of machine code writes to, what its callbacks raised, and the flag that ends it.

    There is memory for a number of workers, `size` bytes each, zeroed, from a multiple of 64 on as full vectors need.
    So many `helpers` may join: the first worker has them share long loops.
    """

    cdef void *raw
    cdef char *start
    cdef size_t size
    cdef long long flag
    cdef readonly list errors
    cdef public object kept  # what the code reads and writes, as long as it may run
    cdef long helpers
    cdef Work theirs  # memory of helpers that share loops

    def __cinit__(self, size_t size, size_t copies, long helpers=0):
        cdef size_t k
        cdef Watch *watch
        self.raw = calloc(size * copies + 64, 1)
        if self.raw == NULL:
            raise MemoryError(f"expected {size * copies} bytes of memory for a compiled function but there are none")
        self.start = <char *> ((<uintptr_t> self.raw + 63) & ~<uintptr_t> 63)
        self.errors, self.size = [], size
        for k in range(copies):
            watch = <Watch *> (self.start + k * size)
            watch.flag, watch.check, watch.work = &self.flag, look, <void *> self
        self.helpers = helpers
        if helpers:
            (<Watch *> self.start).share = share

    def __dealloc__(self):
        free(self.raw)

    @property
    def address(self):
        return <uintptr_t> self.start

    @property
    def stopped(self):
        return self.flag != 0

    cdef char *frames(self, size_t size) except NULL:
        """Return memory for helpers of this call, at least so many bytes for each."""
        cdef Watch *watch
        cdef long k
        if self.theirs is None or self.theirs.size < size:
            self.theirs = Work(size, self.helpers)
            for k in range(self.helpers):
                watch = <Watch *> (self.theirs.start + k * size)
                watch.flag, watch.work = &self.flag, <void *> self
        return self.theirs.start

    def share(self, part, long parts, long long each, long long n, out, bint sums, bint calls_back):
        """Run the parts of a batch in threads, each so many samples."""
        cdef BatchJob job
        job.part, job.job.parts, job.each, job.n = <Part> <uintptr_t> part, parts, each, n
        job.out, job.sums, job.count = <char *> <uintptr_t> out, sums, 0
        share_batch(&job, self, calls_back)

    cpdef stop(self):
        """Stop the code that runs on this memory."""
        self.flag = 1

    cpdef fail(self, error):
        """Note what a callback or a signal's handler raised: the call ends, and raises it."""
        self.errors.append(error)
        self.flag = 1

    cpdef check(self):
        """Raise the first error of a call that has ended."""
        if self.errors:
            raise self.errors[0]


cdef class Callback:
    """Call a row's Python function for machine code; what it raises goes to the call that the thread works for.

    A function of Python's own would lose what a signal's handler raises before its first line.
    """

    cdef object evaluate

    def __init__(self, evaluate):
        self.evaluate = evaluate

    def __call__(self, *xs):
        cdef Work work = running.work
        try:
            # Nothing more is asked of the user's code once the call is to end.
            return NAN if work.flag else float(self.evaluate(*xs))
        except BaseException as error:
            work.fail(error)
            return NAN


cdef int look(Watch *watch) noexcept nogil:
    """Run Python's signal handlers, which only the main thread does; return whether the call is to end."""
    cdef timespec now
    cdef long long time
    if PyThread_get_thread_ident() != main_thread:
        return 0  # nor may other threads ask Python for anything while it ends
    timespec_get(&now, TIME_UTC)
    time = now.tv_sec * 1_000_000_000 + now.tv_nsec
    if 0 <= time - watch.seen < PERIOD:
        return 0
    watch.seen = time
    return handle(watch)


cdef int handle(Watch *watch) noexcept with gil:
    cdef Work work = <Work> watch.work
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        work.fail(error)
    return work.flag != 0


cdef struct BatchJob:
    # A batch that several threads work on.
    Job job
    Part part
    char *start  # of the memory that the parts use
    char *out
    long long *flag
    long long n, each
    bint sums, doubtful
    void *memory  # the call's `Work`
    int width, count  # of the units in which threads look for a nan themselves
    long long starts[UNITS]
    long long sizes[UNITS]


cdef struct LoopJob:
    # A loop that several threads work on.
    Job job
    LoopPart part
    void *context
    long long *flag
    void *frame  # of who posted it
    void *watch
    char *frames  # of helpers, so many bytes each, with the watch at the start
    size_t size


cdef struct Search:
    # Numbers in which several threads look for a nan.
    Job job
    const char *numbers
    Py_ssize_t size
    int width
    bint found


cdef void work_on_search(Job *posted, long worker) noexcept nogil:
    """Look through parts until none is left."""
    cdef Search *job = <Search *> posted
    cdef Py_ssize_t first
    cdef long place
    while not job.found and (place := crew_take(posted)) >= 0:
        first = place * SEARCHED
        if has_nan(job.numbers + first * job.width, min(SEARCHED, job.size - first), job.width):
            job.found = True


cdef bint any_nan(const char *numbers, Py_ssize_t size, int width, long helpers) noexcept nogil:
    """Look for a nan, with helpers that wait for work."""
    cdef Search job
    if not helpers or size < 4 * SEARCHED:
        return has_nan(numbers, size, width)
    job.job.work, job.numbers, job.size, job.width = work_on_search, numbers, size, width
    job.job.parts, job.found = <long> ((size + SEARCHED - 1) // SEARCHED), False
    crew_post(&job.job, helpers)
    work_on_search(&job.job, 0)
    crew_withdraw(&job.job)
    while not crew_left(&job.job):
        pass
    return job.found


cdef void work_on_batch(Job *posted, long worker) noexcept nogil:
    """Run parts until none is left, or the call is to end."""
    cdef BatchJob *job = <BatchJob *> posted
    cdef long long first, last, begin
    cdef long place
    cdef int k
    while not job.flag[0] and (place := crew_take(posted)) >= 0:
        first = place * job.each
        last = min(job.n, first + job.each)
        # Sums are kept for each part, so that they do not depend on which thread was quicker.
        job.part(job.start, place if job.sums else worker, first, last, job.n, job.out)
        for k in range(job.count):
            begin = job.n * job.starts[k] + first * job.sizes[k]
            if has_nan(job.out + job.width * begin, (last - first) * job.sizes[k], job.width):
                job.doubtful = True


cdef void work_calling_back(Job *posted, long worker) noexcept with gil:
    """Run parts that call Python's functions."""
    before = enter(<Work> (<BatchJob *> posted).memory)
    with nogil:
        work_on_batch(posted, worker)
    running.work = before


cdef void work_on_loop(Job *posted, long worker) noexcept nogil:
    """Run parts until none is left, or the call is to end."""
    cdef LoopJob *job = <LoopJob *> posted
    cdef char *own = NULL if worker == 0 else job.frames + (worker - 1) * job.size
    cdef long place
    while not job.flag[0] and (place := crew_take(posted)) >= 0:
        if own == NULL:
            job.part(job.context, place, job.frame, job.watch)
        else:
            job.part(job.context, place, own + WATCH, own)


def linger():
    """Help with what other threads have posted."""
    with nogil:
        crew_linger(PATIENCE)


cdef call_helpers(long missing, long size):
    """Have so many threads come, of a pool of at least this size."""
    cdef long called = 0
    crew_add(&crew_coming, missing)
    try:
        called = len(submit(missing, linger, size))
    finally:
        crew_add(&crew_coming, called - missing)


cdef share_job(Job *job, Work memory):
    """Work on a job with the helpers that there are for a call, until all of it is done."""
    cdef long missing = crew_post(job, memory.helpers)
    cdef bint left
    try:
        try:
            if missing > 0:
                call_helpers(missing, memory.helpers)
            with nogil:
                job.work(job, 0)
        finally:
            with nogil:
                crew_withdraw(job)
                left = crew_left(job)
        while not left:
            PyErr_CheckSignals()
            with nogil:
                left = crew_left(job)
    except BaseException:
        # Ctrl-C came while this thread waited.
        memory.stop()
        with nogil:
            while not crew_left(job):
                pass
        raise


cdef share_batch(BatchJob *job, Work memory, bint calls_back):
    """Share the parts of a batch between threads."""
    job.job.work = work_calling_back if calls_back else work_on_batch
    job.start, job.flag = memory.start, &memory.flag
    job.doubtful, job.memory = False, <void *> memory
    share_job(&job.job, memory)


cdef void share(
    Watch *watch, LoopPart part, void *context, long long parts, void *frame, long long size
) noexcept with gil:
    """Share the parts of a loop between threads."""
    cdef Work memory = <Work> watch.work
    cdef LoopJob job
    try:
        job.job.work, job.part, job.context, job.flag = work_on_loop, part, context, &memory.flag
        job.job.parts, job.frame, job.watch = parts, frame, watch
        job.size = (size + WATCH + 63) & ~63
        job.frames = memory.frames(job.size)
        share_job(&job.job, memory)
    except BaseException as error:
        memory.fail(error)


cdef enter(Work work):
    """Set the call for which this thread works; return the one before, since what is called back may call, too."""
    before = getattr(running, "work", None)
    running.work = work
    return before


cdef class Entry:
    """Run a kernel on arguments of one structure.

    Args:
        native: who keeps the code alive; the address of ``run(arguments, n, out, work)``; the bytes of memory `work`;
            whether native code calls Python's functions; how many threads may help a call; the
            number of samples from which on threads share the work; how they do: None, or the addresses of ``prepare``,
            ``part`` and ``finish`` (0 where there are no sums) and the function that splits a batch; and the format of
            the numbers.
        structures: for each positional argument the structure of a sample, of the kinds that a `Reader` knows.
        batched: for each positional argument, whether it carries a leading axis of samples.
        units: where each number or array of a result starts among a sample's numbers, and how many it has.
        per_sample: whether each sample has results of its own.
        read: makes the result of the numbers and how many samples there are.
        exact: None, or what returns the entry to call instead where a result is nan.
    """

    cdef Run run, prepare
    cdef Part part
    cdef Finish finish
    cdef size_t work
    cdef list spare, large, units, readers
    cdef object owner, read, exact, split, format
    cdef int width  # bytes of a number
    cdef char code  # of buffers
    cdef Py_ssize_t count, outputs, largest
    cdef long helpers
    cdef bint per_sample, calls_back
    cdef bint batched[MOST]
    cdef bint number[MOST]  # not batched
    cdef bint whole[MOST]  # a number or an array
    cdef int axes[MOST]
    cdef Py_ssize_t shapes[MOST][AXES]

    def __init__(self, native, structures, batched, units, per_sample, read, exact):
        if len(structures) > MOST:
            raise ValueError(f"Entry expected at most {MOST} arguments but got {len(structures)}")
        self.owner, address, self.work, self.calls_back, self.helpers, self.largest, sharing, own = native
        self.format, self.width, self.code = numpy.dtype(own.name), own.size, ord(own.code)
        self.run, self.spare, self.large = <Run> <uintptr_t> address, [], []
        if sharing is not None:
            prepare, part, end, self.split = sharing
            self.prepare, self.part = <Run> <uintptr_t> prepare, <Part> <uintptr_t> part
            self.finish = <Finish> <uintptr_t> end
        self.count, self.units, self.per_sample = len(structures), list(units), per_sample
        self.outputs = sum([size for _, size in units])
        self.readers = [Reader(structure) for structure in structures]
        self.read, self.exact = read, exact
        for k, flag in enumerate(batched):
            shape = structures[k].shape
            self.batched[k], self.axes[k] = flag, len(shape)
            self.whole[k] = structures[k].kind in ("number", "array") and len(shape) <= AXES
            for axis, length in enumerate(shape[:AXES]):
                self.shapes[k][axis] = length
            self.number[k] = structures[k].kind == "number" and not flag

    def call(self, tuple args):
        """Return the result, or None where the arguments are of another kind, and nothing was done."""
        cdef Py_buffer views[MOST]
        cdef Py_buffer place
        cdef void *addresses[MOST]
        cdef double numbers[MOST]
        cdef Py_ssize_t n = -1, k, held = 0, size, rows, width
        cdef int axis, lead
        cdef bint fits, whole = True, doubtful = False
        cdef Work memory
        cdef Py_buffer *view
        cdef list copies = None  # of arguments
        if len(args) != self.count:
            return None
        try:
            for k in range(self.count):
                arg = args[k]
                if type(arg) is array_type and self.whole[k]:
                    lead, view = self.batched[k], &views[held]
                    try:
                        PyObject_GetBuffer(arg, view, PyBUF_FORMAT | PyBUF_STRIDES)
                    except (BufferError, ValueError):
                        return None  # of a kind that no buffer has
                    held += 1
                    if view.ndim == self.axes[k] + lead and view.ndim:
                        fits = True
                        if lead:
                            if n >= 0 and view.shape[0] != n:
                                return None
                            n = view.shape[0]
                        width = self.width
                        for axis in range(view.ndim - 1, lead - 1, -1):
                            if view.shape[axis] != self.shapes[k][axis - lead]:
                                return None
                            fits &= view.strides[axis] == width or view.shape[axis] == 1
                            width *= view.shape[axis]
                        if lead:
                            fits &= view.strides[0] == width or n == 1
                        if fits and view.format[0] == self.code and not view.format[1]:
                            addresses[k] = view.buf
                            continue
                    elif view.ndim:
                        return None
                elif self.number[k] and PyFloat_Check(arg):
                    numbers[k] = PyFloat_AS_DOUBLE(arg)
                    narrow(&numbers[k], 1, self.width)
                    addresses[k] = &numbers[k]
                    continue
                elif self.batched[k]:
                    rows = (<Reader> self.readers[k]).rows(arg)
                    if rows == -2 or (rows >= 0 and n >= 0 and rows != n):
                        return None
                    n = max(n, rows)
                addresses[k] = NULL
                whole = False
            if not whole:
                copies = copied(self.readers, self.batched, args, n, addresses, self.width)
                if copies is None:
                    return None
            if n < 0:
                n = 1
            size = self.outputs * n if self.per_sample else self.outputs
            out = empty(size, self.format)
            PyObject_GetBuffer(out, &place, PyBUF_C_CONTIGUOUS)
            try:
                if n >= self.largest:
                    doubtful = self.share(addresses, n, <char *> place.buf)
                else:
                    memory = self.spare.pop() if self.spare else Work(self.work, 1, self.helpers)
                    before = enter(memory) if self.calls_back else None
                    with nogil:
                        self.run(addresses, n, place.buf, memory.start)
                        if self.exact is not None:
                            doubtful = any_nan(<char *> place.buf, size, self.width, self.helpers)
                    if self.calls_back:
                        running.work = before
                    if memory.flag:
                        memory.check()
                    self.spare.append(memory)
                if copies is not None:
                    kept(copies)
            finally:
                PyBuffer_Release(&place)
        finally:
            for k in range(held):
                PyBuffer_Release(&views[k])
        if doubtful:
            return self.exact().call(args)
        return self.read(out, n)

    cdef bint share(self, void **addresses, Py_ssize_t n, char *out) except -1:
        """Share a batch between threads; return whether there is a nan in the results."""
        cdef BatchJob job
        cdef Work memory
        cdef Py_ssize_t size
        cdef int k
        each, parts, copies = self.split(n)
        memory = self.large.pop() if self.large else Work(self.work, copies, self.helpers)
        job.part, job.job.parts, job.each, job.n, job.out = self.part, parts, each, n, out
        job.width, job.sums, job.count = self.width, self.finish != NULL, 0
        if self.exact is not None and not job.sums and len(self.units) <= UNITS:
            job.count = <int> len(self.units)
            for k in range(job.count):
                job.starts[k], job.sizes[k] = self.units[k]
        before = enter(memory) if self.calls_back else None
        with nogil:
            self.prepare(addresses, n, out, memory.start)
        if self.calls_back:
            running.work = before
        share_batch(&job, memory, self.calls_back)
        memory.check()
        if job.sums:
            with nogil:
                self.finish(memory.start, job.job.parts, n, out)
        self.large.append(memory)
        if self.exact is None or job.count:
            return job.doubtful
        with nogil:
            size = self.outputs * n if self.per_sample else self.outputs
            job.doubtful = any_nan(out, size, self.width, self.helpers)
        return job.doubtful
