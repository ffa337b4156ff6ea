#!/usr/bin/env python3
"""Workload C: a native thread that calls into Python for every event (2011).

A small C library, built here with the system's compiler, starts native threads that `threading` does not know. For
each event such a thread takes the GIL, calls on_completion() and lets go again:

    --mode ensure    PyGILState_Ensure / PyGILState_Release: makes and destroys a thread state for every event
    --mode keep      PyThreadState_New once, then PyEval_RestoreThread / PyEval_SaveThread

Result: events a second, and what each costs (event_us: from asking for the GIL to having given it back); the difference
is the price of the thread states. Each thread makes `--rate` events a second (a server at part load; 0: as many as it
can), `--spinners` adds busy Python threads, beside which each event waits a switch interval. Needs a C compiler (or
`--library`, made elsewhere with `--build`), no Python headers; CPython 3.7 or newer.
"""
import argparse
import ctypes
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

SOURCE = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The interpreter's stable C API; the symbols are those of the process that loads this library. */
typedef struct PyObject PyObject;
int PyGILState_Ensure(void);
void PyGILState_Release(int);
void *PyInterpreterState_Main(void);
void *PyThreadState_New(void *);
void PyEval_RestoreThread(void *);
void *PyEval_SaveThread(void);
PyObject *PyObject_CallObject(PyObject *, PyObject *);
void Py_DecRef(PyObject *);
void PyErr_Print(void);

struct completer {
    int keep, tid;
    volatile int stop, running;
    double seconds, rate;
    PyObject *callback;
    sem_t ready, start, done;
    /* the result */
    long events;
    double wall, cpu, inside;
};

static double read_clock(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void call(struct completer *c) {
    PyObject *answer = PyObject_CallObject(c->callback, 0);
    if (answer) Py_DecRef(answer);
    else PyErr_Print();
}

static void notify_ensure(struct completer *c) {
    int state = PyGILState_Ensure();
    call(c);
    PyGILState_Release(state);
}

static void *notify_keep(struct completer *c, void *state) {
    PyEval_RestoreThread(state);
    call(c);
    return PyEval_SaveThread();
}

static void *completer_main(void *argument) {
    struct completer *c = argument;
    void *state = c->keep ? PyThreadState_New(PyInterpreterState_Main()) : 0;
    c->tid = syscall(SYS_gettid);
    sem_post(&c->ready);
    for (;;) {
        while (sem_wait(&c->start)) {}
        double began = read_clock(CLOCK_MONOTONIC), cpu = read_clock(CLOCK_THREAD_CPUTIME_ID), now = began;
        double inside = 0;
        long events = 0;
        while (!c->stop && now - began < c->seconds) {
            double entered = now;
            if (c->keep) state = notify_keep(c, state);
            else notify_ensure(c);
            events++;
            now = read_clock(CLOCK_MONOTONIC);
            inside += now - entered;
            double ahead = c->rate > 0 ? events / c->rate - (now - began) : 0;
            if (ahead > 0) {
                struct timespec pause = {(time_t)ahead, (long)((ahead - (time_t)ahead) * 1e9)};
                nanosleep(&pause, 0);
                now = read_clock(CLOCK_MONOTONIC);
            }
        }
        c->events = events;
        c->wall = now - began;
        c->inside = inside;
        c->cpu = read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu;
        sem_post(&c->done);
    }
    return 0;
}

int completer_start(struct completer *c, int index) {
    pthread_t thread;
    char name[16] = "completer-";
    name[10] = '0' + index / 10 % 10;
    name[11] = '0' + index % 10;
    sem_init(&c->ready, 0, 0);
    sem_init(&c->start, 0, 0);
    sem_init(&c->done, 0, 0);
    if (pthread_create(&thread, 0, completer_main, c)) return -1;
    pthread_setname_np(thread, name);
    while (sem_wait(&c->ready)) {}
    return 0;
}
void completer_go(struct completer *c) {
    c->running = 1;
    sem_post(&c->start);
}
int completer_wait(struct completer *c) {  /* -1 when a signal came */
    if (sem_wait(&c->done)) return -1;
    c->running = 0;
    return 0;
}
void completer_stop(struct completer *c) {
    c->stop = 1;
    while (c->running && completer_wait(c)) {}
}
unsigned long completer_size(void) { return sizeof(struct completer); }
"""


class Completer(ctypes.Structure):
    """The part of C's struct that Python writes and reads; the library says how long the whole is."""

    _fields_ = [("keep", ctypes.c_int), ("tid", ctypes.c_int), ("stop", ctypes.c_int), ("running", ctypes.c_int),
                ("seconds", ctypes.c_double), ("rate", ctypes.c_double),
                ("callback", ctypes.py_object), ("semaphores", ctypes.c_byte * 32 * 3), ("events", ctypes.c_long),
                ("wall", ctypes.c_double), ("cpu", ctypes.c_double), ("inside", ctypes.c_double)]


def build(path):
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if not compiler or not shutil.which(compiler.split()[0]):
        sys.exit("c_foreign: needs a C compiler (cc, gcc, clang or $CC): on Debian, apt-get install gcc libc6-dev; "
                 "or load what `c_foreign.py --build FILE` made elsewhere with --library FILE")
    command = compiler.split() + ["-O2", "-shared", "-fPIC", "-pthread", "-x", "c", "-", "-o", path]
    made = subprocess.run(command, input=SOURCE.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode:
        sys.exit("c_foreign: {} failed; on Debian it needs libc6-dev:\n{}".format(
            " ".join(command), made.stdout.decode(errors="replace")))


def load(path):
    """Loads the library from a file, or builds it in a folder that is gone before this returns."""
    if path:
        try:
            library = ctypes.CDLL(os.path.abspath(path))
        except OSError as error:
            sys.exit("c_foreign: --library: {}".format(error))
    else:
        with tempfile.TemporaryDirectory(prefix="gilscope-sample-") as folder:
            build(os.path.join(folder, "completer.so"))
            library = ctypes.CDLL(os.path.join(folder, "completer.so"))
    library.completer_size.restype = ctypes.c_ulong
    if library.completer_size() != ctypes.sizeof(Completer):
        sys.exit("c_foreign: the library is not of this sample's version: build it again")
    return library


def spin_python(keep_on):
    while keep_on:
        pass


def spinner(todo, keep_on):
    while True:
        todo.acquire()
        spin_python(keep_on)


def run(options, ready, work):
    """Does the work once; with --handshake once for each line `go` on standard input."""

    def once():
        result = work()
        print(json.dumps(result) if options.json else "  ".join("{}={}".format(*item) for item in result.items()))
        sys.stdout.flush()

    if not options.handshake:
        return once()
    print("ready " + json.dumps(ready), flush=True)
    for line in iter(sys.stdin.readline, ""):
        if line.strip() != "go":
            break
        once()
        print("done", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mode", choices=("ensure", "keep"), default="ensure",
                        help="how a thread enters Python (ensure)")
    parser.add_argument("--seconds", type=float, default=3, help="how long a measurement lasts (3)")
    parser.add_argument("--threads", type=int, default=1, help="native threads (1)")
    parser.add_argument("--rate", type=float, default=2000,
                        help="events a second for each thread; 0: as many as it can (2000)")
    parser.add_argument("--spinners", type=int, default=0, help="busy Python threads beside them (0)")
    parser.add_argument("--build", metavar="FILE", help="only build the C library into FILE")
    parser.add_argument("--library", metavar="FILE", help="load a library made with --build, compile nothing")
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.add_argument("--handshake", action="store_true", help="print `ready`, wait for `go` and `exit` on stdin")
    options = parser.parse_args()
    if options.build:
        return build(options.build)
    if not 1 <= options.threads <= 100:
        parser.error("1 to 100 native threads")
    library = load(options.library)

    completions = itertools.count()  # its next is one step, whatever threads do

    def on_completion():
        next(completions)

    completers = []
    for index in range(options.threads):
        completer = Completer(keep=options.mode == "keep", seconds=options.seconds, rate=options.rate,
                              callback=on_completion)
        if library.completer_start(ctypes.byref(completer), index):
            sys.exit("c_foreign: no thread could be started")
        completers.append(completer)
    todo, keep_on = threading.Semaphore(0), []
    for index in range(options.spinners):
        threading.Thread(target=spinner, args=(todo, keep_on), name="spinner-{}".format(index), daemon=True).start()

    def work():
        seen = next(completions) + 1
        before = resource.getrusage(resource.RUSAGE_SELF)
        keep_on.append(True)
        for _ in range(options.spinners):
            todo.release()
        for completer in completers:
            library.completer_go(ctypes.byref(completer))
        for completer in completers:
            while library.completer_wait(ctypes.byref(completer)):
                pass
        keep_on.clear()
        after = resource.getrusage(resource.RUSAGE_SELF)
        events, wall = sum(c.events for c in completers), max(c.wall for c in completers)
        assert events == next(completions) - seen, "an event was not delivered"
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"sample": "C", "mode": options.mode, "threads": options.threads, "spinners": options.spinners,
                "events": events, "events_per_s": round(events / wall),
                "event_us": round(sum(c.inside for c in completers) / events * 1e6, 3),
                "thread_cpu_us": round(sum(c.cpu for c in completers) / events * 1e6, 3),
                "process_cpu_percent": round(cpu / wall * 100, 1)}

    process, tids = os.getpid(), [completer.tid for completer in completers]
    try:
        run(options, {"pids": [process], "roles": {"process": process}, "foreign_tids": tids}, work)
    finally:
        # A native thread must not come back to an interpreter that is being torn down.
        for completer in completers:
            library.completer_stop(ctypes.byref(completer))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
