#!/usr/bin/env python3
"""Workload D: the same CPU work on one GIL, and around it (PyParallel, 2013).

    --mode threads                   N threads worker-0 …, one GIL: they take turns
    --mode processes                 N processes, each with a GIL: they overlap
    --mode subinterpreters           N sub-interpreters of one process, in the threads worker-0 …, each with a GIL of
                                     its own (CPython 3.12 or newer): they overlap
    --mode legacy-subinterpreters    the same, but all on one GIL (3.8 or newer; all that there was before 3.12)

From 3.9 to 3.12 the last one shows a defect of CPython: who waits for the GIL asks for it in the wrong interpreter, so
the holder is never asked, the workers run one after the other, and a measurement takes N times --seconds.

Result: units of work a second, over all workers and for each, and the processor time they used: on one GIL never more
than 100 %, with a GIL each as much as this machine has to give. Standard library only, CPython 3.8 or newer.
"""
import argparse
import ctypes
import json
import os
import signal
import sys
import threading
import time

# What every worker runs, as text, since a sub-interpreter is handed its program as text.
WORKER = '''
import os
import time


def compute():
    """One unit of work, a fraction of a millisecond, which gives nothing away."""
    total = 0
    for number in range(4000):
        total += number * number % 7
    return total


def live(orders, results):
    """Works for as many seconds as each order says, until there are no more orders."""
    os.write(results, b"ready\\n")
    while True:
        order = os.read(orders, 32)
        if not order:
            return
        units, until, used = 0, time.monotonic() + float(order), time.thread_time()
        while time.monotonic() < until:
            compute()
            units += 1
        os.write(results, b"%d %f\\n" % (units, time.thread_time() - used))
'''


class Worker:
    """One worker: the pipes to it, and how it is started, by the subclass."""

    def __init__(self, index):
        self.name = "worker-{}".format(index)
        self.orders_out, self.orders = os.pipe()
        results_out, self.results_in = os.pipe()
        self.results = os.fdopen(results_out)

    def live(self):
        scope = {}
        exec(compile(WORKER, "worker", "exec"), scope)
        scope["live"](self.orders_out, self.results_in)

    def read(self):
        line = self.results.readline().strip()
        if not line:
            sys.exit("d_around: {} has gone".format(self.name))
        return line

    def order(self, seconds):
        os.write(self.orders, str(seconds).encode())

    def end(self):
        os.close(self.orders)


class ThreadWorker(Worker):
    def start(self):
        self.thread = threading.Thread(target=self.live, name=self.name, daemon=True)
        self.thread.start()
        return os.getpid()

    def end(self):
        super().end()
        self.thread.join()


class ProcessWorker(Worker):
    def start(self):
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                libc = ctypes.CDLL(None)
                libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlive the parent
                libc.prctl(15, self.name.encode())  # PR_SET_NAME
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
                os.close(self.orders)
                if os.getppid() == parent:
                    self.live()
            finally:
                os._exit(0)
        os.close(self.results_in)  # so that a dead worker is the end of its results
        return self.pid

    def end(self):
        super().end()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class SubinterpreterWorker(ThreadWorker):
    own_gil = True

    def start(self):
        if sys.version_info >= (3, 13):
            import _interpreters as interpreters
            made = interpreters.create("isolated" if self.own_gil else "legacy")
        elif sys.version_info >= (3, 9):
            import _xxsubinterpreters as interpreters
            made = interpreters.create(isolated=self.own_gil)
        else:
            import _xxsubinterpreters as interpreters
            made = interpreters.create()
        script = "{}\nlive({}, {})\n".format(WORKER, self.orders_out, self.results_in)
        self.live = lambda: interpreters.run_string(made, script)
        self.destroy = lambda: interpreters.destroy(made)
        return super().start()

    def end(self):
        super().end()
        self.destroy()  # not in its thread: 3.11 dies of that


class LegacySubinterpreterWorker(SubinterpreterWorker):
    own_gil = False


MODES = {"threads": (ThreadWorker, (3, 8)), "processes": (ProcessWorker, (3, 8)),
         "subinterpreters": (SubinterpreterWorker, (3, 12)),
         "legacy-subinterpreters": (LegacySubinterpreterWorker, (3, 8))}


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
    parser.add_argument("--mode", choices=sorted(MODES), default="threads", help="what the workers are (threads)")
    parser.add_argument("--seconds", type=float, default=3, help="how long a measurement lasts (3)")
    parser.add_argument("--threads", type=int, default=2, help="workers (2)")
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.add_argument("--handshake", action="store_true", help="print `ready`, wait for `go` and `exit` on stdin")
    options = parser.parse_args()
    kind, needed = MODES[options.mode]
    if sys.version_info < needed:
        instead = " (before it, sub-interpreters share one GIL: --mode legacy-subinterpreters)" if needed > (3, 8) else ""
        sys.exit("d_around: --mode {} needs CPython {}.{} or newer{}, this is {}; on Debian, samples/debian-pythons.sh "
                 "fetches some".format(options.mode, needed[0], needed[1], instead, sys.version.split()[0]))

    if kind is LegacySubinterpreterWorker:
        # Where the workers do not let go for one another, they do not for the main thread's signal handler either.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    workers = [kind(index) for index in range(options.threads)]
    pids = []
    try:
        for worker in workers:
            pids.append(worker.start())
            worker.read()

        def work():
            began = time.perf_counter()
            for worker in workers:
                worker.order(options.seconds)
            answers = [worker.read().split() for worker in workers]
            took = time.perf_counter() - began
            units, used = [int(answer[0]) for answer in answers], sum(float(answer[1]) for answer in answers)
            return {"sample": "D", "mode": options.mode, "threads": options.threads,
                    "units_per_s": round(sum(units) / took),
                    "cpu_percent": round(used / took * 100),
                    "per_worker": [round(count / took) for count in units], "took_s": round(took, 3)}

        roles = {"main": os.getpid()}
        roles.update((worker.name, pid) for worker, pid in zip(workers, pids))
        run(options, {"pids": sorted(set(pids)), "roles": roles}, work)
    finally:
        if kind is ProcessWorker or sys.exc_info()[0] is None:
            for worker in workers[:len(pids)]:
                worker.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    status = 0
    try:
        main()
    except KeyboardInterrupt:
        status = 130
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    sys.stdout.flush()
    os._exit(status)  # does not wait for threads in the middle of their work
