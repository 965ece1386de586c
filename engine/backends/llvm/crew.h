/* Have threads help with a job: machine code in parts, of which each thread takes the next until none is left.

   Who has a job posts it, works on it, withdraws it, and waits for those who joined. Helpers look for jobs; after one,
   or when they were called and came too late, they linger: to wake a thread up takes longer than many a job does, and
   some systems let it wait for the processor that the caller works on. None of this needs Python's interpreter lock.
   A job and what it points to live until `crew_left` says so: a call that is interrupted waits, too. */
#ifndef CHAINRULE_CREW_H
#define CHAINRULE_CREW_H

#include <time.h>
#if defined(_MSC_VER)
#include <intrin.h>
#include <windows.h>
#define CREW_ADD(place, more) _InterlockedExchangeAdd((place), (more))
#define CREW_READ(place) _InterlockedOr((place), 0)
#define CREW_YIELD() SwitchToThread()
#define CREW_SLEEP() Sleep(0)
#else
#include <sched.h>
#define CREW_ADD(place, more) __atomic_fetch_add((place), (more), __ATOMIC_ACQ_REL)
#define CREW_READ(place) __atomic_load_n((place), __ATOMIC_ACQUIRE)
#define CREW_YIELD() sched_yield()
#define CREW_SLEEP() nanosleep(&(struct timespec){0, 50000}, NULL)
#endif
#if defined(__x86_64__) || defined(__i386__)
#define CREW_PAUSE() __builtin_ia32_pause()
#elif defined(_MSC_VER)
#define CREW_PAUSE() YieldProcessor()
#elif defined(__aarch64__)
#define CREW_PAUSE() __asm__ volatile("yield")
#else
#define CREW_PAUSE() ((void)0)
#endif

#define CREW_SPINS 4096      /* pauses before a thread lets others run where it stands */
#define CREW_STUBBORN 300000 /* nanoseconds in which a helper that has nothing to do keeps its processor */
#define CREW_SLEEPY 2000000  /* nanoseconds of waiting after which it sleeps between two looks */
#define CREW_PERIOD 50000000 /* nanoseconds after which who waits looks at something else */

typedef struct crew_job {
    void (*work)(struct crew_job *, long); /* takes the number of the worker, 0 for who posted it */
    struct crew_job *next;
    long parts, taken;   /* how many there are, and were taken */
    long wanted, joined; /* helpers that may still join, that have joined: both under the gate */
    long working;        /* helpers that have joined and are not done */
} crew_job;

static crew_job *crew_posted; /* under the gate */
static long crew_gate;        /* 1 while a thread is inside, for some instructions */
static long crew_open;        /* how many jobs are posted */
static long crew_from;        /* the processor that the last job came from */
static long crew_waiting;     /* threads that linger */
static long crew_coming;      /* threads that were called and are not there yet */

static long long crew_now(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void crew_enter(void)
{
    while (CREW_ADD(&crew_gate, 1)) {
        CREW_ADD(&crew_gate, -1);
        CREW_YIELD();
    }
}

static void crew_leave(void)
{
    CREW_ADD(&crew_gate, -1);
}

/* Offer a job to so many helpers; return how many have to be called. */
static long crew_post(crew_job *job, long wanted)
{
    long coming;
    job->wanted = wanted;
    job->taken = job->joined = job->working = 0;
    crew_enter();
    job->next = crew_posted;
    crew_posted = job;
    crew_leave();
#ifdef __linux__
    crew_from = sched_getcpu();
#endif
    CREW_ADD(&crew_open, 1);
    coming = CREW_READ(&crew_coming); /* below 0 where Ctrl-C came while threads were called, and some came */
    return wanted - CREW_READ(&crew_waiting) - (coming > 0 ? coming : 0);
}

/* Take the next part of a job; return its number, -1 if none is left. */
static long crew_take(crew_job *job)
{
    long part = CREW_ADD(&job->taken, 1);
    return part < job->parts ? part : -1;
}

/* Let no more helpers join a job. */
static void crew_withdraw(crew_job *job)
{
    crew_job **link = &crew_posted;
    crew_enter();
    while (*link && *link != job)
        link = &(*link)->next;
    if (*link)
        *link = job->next;
    crew_leave();
    CREW_ADD(&crew_open, -1);
}

/* Wait until the helpers are done with a job that is withdrawn; tell whether they are. */
static int crew_left(crew_job *job)
{
    long long start = 0, passed;
    long k = 0;
    while (CREW_READ(&job->working)) {
        if (++k < CREW_SPINS) {
            CREW_PAUSE();
            continue;
        }
        passed = start ? crew_now() - start : 0;
        start = start ? start : crew_now();
        if (passed < 0 || passed > CREW_PERIOD)
            return 0;
        if (passed < CREW_SLEEPY)
            CREW_YIELD();
        else
            CREW_SLEEP();
    }
    return 1;
}

/* Join a job that wants helpers, and work on it; return 0 if there is none. */
static int crew_help(void)
{
    crew_job *job;
    long worker = 0;
    crew_enter();
    for (job = crew_posted; job && !job->wanted; job = job->next)
        ;
    if (job) {
        job->wanted--;
        worker = ++job->joined;
        CREW_ADD(&job->working, 1);
    }
    crew_leave();
    if (!job)
        return 0;
    CREW_ADD(&crew_waiting, -1);
    job->work(job, worker);
    CREW_ADD(&job->working, -1); /* from here on the job may be gone */
    CREW_ADD(&crew_waiting, 1);
    return 1;
}

/* Go to another processor than the one from which the last job came: woken threads may stay there for long. */
static void crew_step_aside(void)
{
#ifdef __linux__
    cpu_set_t all, others;
    int here = sched_getcpu();
    if (here != CREW_READ(&crew_from) || here < 0 || sched_getaffinity(0, sizeof(all), &all))
        return;
    others = all;
    CPU_CLR(here, &others);
    if (CPU_COUNT(&others) && !sched_setaffinity(0, sizeof(others), &others))
        sched_setaffinity(0, sizeof(all), &all); /* it is free to come back */
#endif
}

/* Help with jobs until none has come for so many nanoseconds. */
static void crew_linger(long long patience)
{
    long long start = 0, passed;
    long k = 0;
    CREW_ADD(&crew_waiting, 1);
    CREW_ADD(&crew_coming, -1);
    for (;;) {
        if (CREW_READ(&crew_open) && crew_help()) {
            k = 0;
            continue;
        }
        CREW_PAUSE();
        if (++k % 64)
            continue;
        if (k == 64) {
            start = crew_now();
            crew_step_aside();
        }
        passed = crew_now() - start;
        if (passed < 0 || passed >= patience)
            break;
        if (passed >= CREW_STUBBORN)
            CREW_YIELD();
    }
    CREW_ADD(&crew_waiting, -1);
}

/* Start afresh in a forked process, which has none of its parent's threads. */
static void crew_forget(void)
{
    crew_posted = NULL;
    crew_gate = crew_open = crew_waiting = crew_coming = 0;
}

#endif
