#!/usr/bin/env python3
"""Extensions that hold the GIL too long: C code that never looks whether somebody waits.

The thread `holder` calls one C function over and over, each call some 20 ms long (--hold-ms; the input is made as large
as that takes), while the thread `io` sends 100 bytes to an echo process and waits for them. A thread in pure Python
would let go after a switch interval; these do not, so every echo, half a millisecond away, waits for a whole call.

    --which pydll     usleep through ctypes.PyDLL, which keeps the GIL (hold_pydll)
    --which re        a pattern with exponential backtracking (hold_re)
    --which json      json.dumps of a large list (hold_json)
    --which pickle    pickle.dumps of a large list (hold_pickle)
    --which sorted    sorted of a large list (hold_sorted)
    --which numpy     a sum of two arrays of Python objects (hold_numpy; the package numpy)

Result: how long the calls took, and what that did to the echoes. `ready` tells the function and the line that holds.
CPython 3.7 or newer, the standard library but for numpy.
"""
import argparse
import ctypes
import json
import os
import pickle
import random
import re
import signal
import socket
import sys
import threading
import time

MESSAGE = b"x" * 100


# --- the holders: (size) -> a function that holds for a time that grows with the size ---------------------------------
# Each inner function has the C call on the first line of its body, which is the line to be blamed.


def make_pydll(size):
    usleep, span = ctypes.PyDLL(None).usleep, size * 157

    def hold_pydll():
        usleep(span)

    return hold_pydll


def make_re(size):
    # The time doubles with each letter, so the text grows with the logarithm of the size.
    search, text = re.compile("(?:a|a)*$").search, "a" * (8 + size.bit_length()) + "b"

    def hold_re():
        search(text)

    return hold_re


def make_json(size):
    dumps, value = json.dumps, [{"number": number, "text": "a text"} for number in range(size * 30)]

    def hold_json():
        dumps(value)

    return hold_json


def make_pickle(size):
    dumps, value = pickle.dumps, [(number, str(number), [number]) for number in range(size * 30)]

    def hold_pickle():
        dumps(value)

    return hold_pickle


def make_sorted(size):
    chance = random.Random(7).random
    value = [chance() for _ in range(size * 100)]

    def hold_sorted():
        sorted(value)

    return hold_sorted


def make_numpy(size):
    import numpy
    add, left = numpy.add, numpy.arange(size * 500).astype(object)

    def hold_numpy():
        add(left, left)

    return hold_numpy


HOLDERS = {"pydll": make_pydll, "re": make_re, "json": make_json, "pickle": make_pickle, "sorted": make_sorted,
           "numpy": make_numpy}


def once_ms(hold):
    """Processor time, since the machine may be busy; pydll uses none, but is exact on any clock."""
    clock = time.perf_counter if hold.__name__ == "hold_pydll" else time.thread_time
    began = clock()
    hold()
    return (clock() - began) * 1e3


def fit(make, hold_ms):
    """Doubles the size until one call takes at least the time asked for."""
    size = 1
    while True:
        hold = make(size)
        took_ms = min(once_ms(hold), once_ms(hold))
        if took_ms >= hold_ms or size > 1 << 24:
            return hold
        # Straight to the size where growth is linear, but never by more than a factor of eight.
        size *= 8 if make is not make_re and took_ms * 8 < hold_ms else 2


# --- the echo, in another process -------------------------------------------------------------------------------------


def fork_echo():
    """Forks the echo process, before this one has any thread: its PID and our socket."""
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            libc = ctypes.CDLL(None)
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlive the parent
            libc.prctl(15, b"echo")  # PR_SET_NAME
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
            while os.getppid() == parent:
                message = theirs.recv(65536)
                if not message:
                    break
                time.sleep(0.0005)  # time enough for a holder to take the GIL from the one who waits for the echo
                theirs.send(message)
        finally:
            os._exit(0)
    theirs.close()
    return pid, ours


# --- the two threads --------------------------------------------------------------------------------------------------


class Phase:
    """What both threads do between a start and a stop."""

    def __init__(self, name, step):
        self.todo, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.step, self.keep_on, self.times = step, [], []
        threading.Thread(target=self.live, name=name, daemon=True).start()

    def live(self):
        while True:
            self.todo.acquire()
            while self.keep_on:
                began = time.perf_counter()
                self.step()
                self.times.append(time.perf_counter() - began)
            self.done.release()

    def start(self):
        self.times = []
        self.keep_on.append(True)
        self.todo.release()

    def stop(self):
        self.keep_on.clear()
        self.done.acquire()
        return sorted(self.times)


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
    parser.add_argument("--which", choices=HOLDERS, default="pydll", help="the C code that holds the GIL (pydll)")
    parser.add_argument("--hold-ms", type=float, default=20, help="the least time one call holds it (20)")
    parser.add_argument("--seconds", type=float, default=3, help="how long a measurement lasts (3)")
    parser.add_argument("--threads", type=int, default=1, help="holders (1)")
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.add_argument("--handshake", action="store_true", help="print `ready`, wait for `go` and `exit` on stdin")
    options = parser.parse_args()
    if options.which == "numpy":
        try:
            import numpy  # noqa: F401
        except ImportError:
            sys.exit("holders: --which numpy needs the package numpy: "
                     "{} -m pip install -r samples/requirements.txt".format(sys.executable))

    child, connection = fork_echo()
    try:
        hold = fit(HOLDERS[options.which], options.hold_ms)

        def echo():
            try:
                connection.send(MESSAGE)
                connection.recv(65536)
            except OSError:
                io.keep_on.clear()  # the echo process has gone: we are ending

        io = Phase("io", echo)
        holders = [Phase("holder" if index == 0 else "holder-{}".format(index), hold)
                   for index in range(options.threads)]

        def work():
            for phase in holders + [io]:
                phase.start()
            time.sleep(options.seconds)
            echoes = io.stop()
            holds = sorted(sum((phase.stop() for phase in holders), []))
            return {"sample": "holders", "which": options.which, "threads": options.threads, "holds": len(holds),
                    "hold_p50_ms": round(holds[len(holds) // 2] * 1e3, 2), "hold_max_ms": round(holds[-1] * 1e3, 2),
                    "echoes": len(echoes), "echoes_per_s": round(len(echoes) / options.seconds, 1),
                    "echo_p50_ms": round(echoes[len(echoes) // 2] * 1e3, 3) if echoes else None,
                    "echo_max_ms": round(echoes[-1] * 1e3, 2) if echoes else None}

        process, code = os.getpid(), hold.__code__
        run(options, {"pids": [process], "roles": {"process": process, "echo": child}, "victim": "io",
                      "culprit": "holder", "function": code.co_name, "line": code.co_firstlineno + 1}, work)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


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
    os._exit(status)  # does not wait for a holder in the middle of a call
