/* Give the nodes of a graph their memory: `install` makes it serve the compiled class Var (see var.pxd).

   Nodes are placed one after the other in slabs, in the order in which they are computed, and a slab's end moves
   back when its last nodes are freed. So a training step, which makes many nodes and frees them all, finds the same
   memory again and again, in the same order. What was computed later stands behind what was computed earlier, which
   is what a reverse sweep needs: it reads the slabs backwards, as a tape, and no graph has to be sorted.

   Holes that longer-lived nodes leave are filled only where less than half of the memory is in use. From then on the
   slab is not ordered any more, until it is empty; a sweep that meets it sorts the graph instead.

   Nodes free the graph below them without recursion: those that wait form a list in their own memory.
   All of this runs under Python's interpreter lock. */
#ifndef CHAINRULE_NODES_H
#define CHAINRULE_NODES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <sys/mman.h>
#endif

/* The fields of Var, as var.pxd declares them; `install` compares the sizes. */
typedef struct node {
    PyObject_HEAD
    double value, grad, da, db;
    PyObject *op, *a, *b;
    double mark;
} node;

#define NODE_CLOSED 0x1p1000 /* the mark of nodes that want no gradient; see var.py */

#define NODE_SLAB ((size_t)1 << 21) /* bytes, and the alignment: a node's address tells its slab; one huge page */
#define NODE_CAPACITY ((NODE_SLAB - sizeof(node)) / sizeof(node))
#define NODE_SPARE 16 /* empty slabs that are kept */

typedef struct slab {
    struct slab *next, **link; /* in the list of empty or of sparse slabs; link is what points here, NULL in no list */
    struct slab *older, *newer; /* by when they began to be filled */
    uint32_t end;               /* nodes from here on are free */
    uint32_t live;
    uint32_t hole; /* where to look for the next hole, where holes are filled */
    int ordered;   /* no hole was filled: each node was computed after those before it */
} slab;

static slab *node_current, *node_empty, *node_sparse, *node_newest;
static int node_spare;             /* how many slabs are empty, besides the current one */
static size_t node_slabs, node_live; /* how many there are in all */
static PyTypeObject *node_type;
static node *node_waiting; /* freed, with arguments still to be released; linked in the place of `grad` */
static int node_freeing;

#define NODE_AT(s, k) ((node *)((char *)(s) + sizeof(node)) + (k))
#define NODE_SLAB_OF(n) ((slab *)((uintptr_t)(n) & ~(uintptr_t)(NODE_SLAB - 1)))
#define NODE_IS_FREE(n) (Py_TYPE(n) == NULL)

static slab *node_new_slab(void)
{
#ifdef _WIN32
    char *memory = (char *)_aligned_malloc(NODE_SLAB, NODE_SLAB);
    if (memory == NULL)
        return NULL;
#else
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char *memory = (char *)mmap(NULL, NODE_SLAB, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == (char *)MAP_FAILED)
        return NULL;
    size_t over = (uintptr_t)memory % NODE_SLAB;
    if (over != 0) { /* take twice as much, and give back what stands beside the aligned part */
        munmap(memory, NODE_SLAB);
        memory = (char *)mmap(NULL, 2 * NODE_SLAB, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (memory == (char *)MAP_FAILED)
            return NULL;
        size_t before = (NODE_SLAB - (uintptr_t)memory % NODE_SLAB) % NODE_SLAB;
        if (before > 0)
            munmap(memory, before);
        memory += before;
        munmap(memory + NODE_SLAB, NODE_SLAB - before);
    }
#ifdef MADV_HUGEPAGE
    if (node_current != NULL) /* a small graph does not take a whole huge page */
        (void)madvise(memory, NODE_SLAB, MADV_HUGEPAGE);
#endif
#endif
    memset(memory, 0, sizeof(slab));
    node_slabs++;
    return (slab *)memory;
}

static void node_leave_ages(slab *s)
{
    if (s->newer != NULL)
        s->newer->older = s->older;
    else if (node_newest == s)
        node_newest = s->older;
    if (s->older != NULL)
        s->older->newer = s->newer;
    s->newer = s->older = NULL;
}

static void node_free_slab(slab *s)
{
    node_leave_ages(s);
    node_slabs--;
#ifdef _WIN32
    _aligned_free(s);
#else
    munmap((void *)s, NODE_SLAB);
#endif
}

/* Let an empty slab be the newest. */
static void node_begin(slab *s)
{
    node_leave_ages(s);
    s->older = node_newest;
    if (node_newest != NULL)
        node_newest->newer = s;
    node_newest = s;
    s->ordered = 1;
    s->hole = s->end = 0;
}

static void node_list(slab *s, slab **list)
{
    s->next = *list;
    s->link = list;
    if (s->next != NULL)
        s->next->link = &s->next;
    *list = s;
}

static void node_unlist(slab *s)
{
    *s->link = s->next;
    if (s->next != NULL)
        s->next->link = s->link;
    s->link = NULL;
}

/* Find a place beyond the end of the current slab. */
static node *node_place_elsewhere(void)
{
    slab *s = node_current;
    for (;;) {
        if (s != NULL && !s->ordered)
            for (; s->hole < s->end; s->hole++)
                if (NODE_IS_FREE(NODE_AT(s, s->hole)))
                    return NODE_AT(s, s->hole++);
        if (s != NULL && s->end < NODE_CAPACITY)
            return NODE_AT(s, s->end++);
        if (s != NULL && s->live <= NODE_CAPACITY / 2)
            node_list(s, &node_sparse);
        int roomy = node_slabs * NODE_CAPACITY > 2 * node_live + 4 * NODE_CAPACITY;
        if (node_empty != NULL) {
            s = node_empty;
            node_spare--;
            node_unlist(s);
            node_begin(s);
        } else if ((node_sparse == NULL || !roomy) && (s = node_new_slab()) != NULL)
            node_begin(s);
        else if (node_sparse != NULL) { /* also where there is no more memory */
            s = node_sparse;
            node_unlist(s);
            s->ordered = 0;
            s->hole = 0;
        } else
            return NULL;
        node_current = s;
    }
}

static inline node *node_place(void)
{
    slab *s = node_current;
    node *n;
    if (s != NULL && s->end < NODE_CAPACITY)
        n = NODE_AT(s, s->end++);
    else if ((n = node_place_elsewhere()) == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    NODE_SLAB_OF(n)->live++;
    node_live++;
    return n;
}

static inline void node_give_back(node *n)
{
    slab *s = NODE_SLAB_OF(n);
    Py_SET_TYPE((PyObject *)n, NULL);
    s->live--;
    node_live--;
    while (s->end > 0 && NODE_IS_FREE(NODE_AT(s, s->end - 1)))
        s->end--;
    if (s == node_current) {
        if (s->live == 0 && !s->ordered)
            node_begin(s);
        return;
    }
    if (s->live == NODE_CAPACITY / 2)
        node_list(s, &node_sparse);
    else if (s->live == 0) {
        s->ordered = 1;
        if (s->link != NULL)
            node_unlist(s);
        if (node_spare == NODE_SPARE)
            node_free_slab(s);
        else {
            node_spare++;
            node_list(s, &node_empty);
        }
    }
}

/* What Python calls to make a Var: all fields are 0. */
static PyObject *node_alloc(PyTypeObject *type, Py_ssize_t Py_UNUSED(items))
{
    node *n = node_place();
    if (n == NULL)
        return NULL;
    memset((void *)n, 0, sizeof(node));
    return PyObject_Init((PyObject *)n, type);
}

/* What Python calls when nothing refers to a Var any more. */
static void node_dealloc(PyObject *object)
{
    node *n = (node *)object;
    if (node_freeing) {
        memcpy(&n->grad, &node_waiting, sizeof node_waiting);
        node_waiting = n;
        return;
    }
    node_freeing = 1;
    for (;;) {
        PyObject *a = n->a, *b = n->b, *op = n->op;
        node_give_back(n);
        Py_XDECREF(a);
        Py_XDECREF(b);
        Py_XDECREF(op);
        n = node_waiting;
        if (n == NULL)
            break;
        memcpy(&node_waiting, &n->grad, sizeof node_waiting);
    }
    node_freeing = 0;
}

static inline int node_install(PyObject *type)
{
    PyTypeObject *t = (PyTypeObject *)type;
    if (t->tp_basicsize != (Py_ssize_t)sizeof(node)) {
        PyErr_Format(PyExc_SystemError, "chainrule: a Var has %zd bytes, nodes.h %zu", t->tp_basicsize, sizeof(node));
        return -1;
    }
    node_type = t;
    t->tp_alloc = node_alloc;
    t->tp_dealloc = node_dealloc;
    return 0;
}

/* Make the node of an operation. */
static inline PyObject *node_new(double value, PyObject *op, PyObject *a, PyObject *b, double da, double db)
{
    node *n = node_place();
    if (n == NULL)
        return NULL;
    n->value = value;
    n->grad = 0.0;
    n->da = da;
    n->db = db;
    n->op = Py_NewRef(op);
    n->a = Py_NewRef(a);
    n->b = Py_NewRef(b);
    n->mark = 0.0;
    /* As PyObject_Init does it; Cython's classes are static, nobody counts references to them. */
    Py_SET_TYPE((PyObject *)n, node_type);
    Py_SET_REFCNT((PyObject *)n, 1);
    return (PyObject *)n;
}

/* ---- the tape ---- */

static slab *tape_slab;
static uint32_t tape_place;
static long tape_budget;

/* Stand at a node. */
static inline void tape_start(PyObject *object)
{
    tape_slab = NODE_SLAB_OF(object);
    tape_place = (uint32_t)((node *)object - NODE_AT(tape_slab, 0));
    tape_budget = 4096;
}

/* Go back to the computed node before with this mark. None where the memory is no tape: it is not ordered, or holds so
   many nodes of other graphs that sorting costs less. */
static inline PyObject *tape_back(double mark)
{
    tape_budget += 8;
    while (tape_slab != NULL && tape_slab->ordered) {
        while (tape_place > 0) {
            node *n = NODE_AT(tape_slab, --tape_place);
            if (n->mark == mark && n->op != Py_None)
                return Py_NewRef((PyObject *)n);
            if (--tape_budget < 0)
                return Py_NewRef(Py_None);
        }
        tape_slab = tape_slab->older;
        tape_place = tape_slab == NULL ? 0 : tape_slab->end;
    }
    return Py_NewRef(Py_None);
}

#endif
