#!/usr/bin/env python3
"""Gives the GIL away and takes it back, as fast as it can, and does nothing else: the worst case for a tracer.

One cycle is one ctypes call of pthread_self(), which is nothing but a read of a register: of what the standard library
offers it is the cheapest release and acquisition (80 to 115 ns on CPython 3.8 to 3.13; os.getppid, which keeps the
GIL, 200, os.lseek 220 to 300, time.sleep(0) 500 and from 3.11 on 77 000), and it makes no system call.

With `--sockets` a cycle is a send and a receive of one byte on a pair of sockets: two system calls, each of which releases.

`--threads N` adds N threads parked in a lock; `--loops N` has N threads cycle on one GIL, not one. `--cycles N` ends
after exactly N cycles a loop instead of after --seconds. Result: cycles a second, over all loops.
"""
import argparse
import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time

BATCH = 1000


def cycle(release, seconds, cycles, done):
    """Runs for `seconds`, or for exactly `cycles` if given, and appends how many cycles and how many seconds."""
    began = time.perf_counter()
    count, until = 0, began + seconds
    while count < cycles if cycles else time.perf_counter() < until:
        batch = min(BATCH, cycles - count) if cycles else BATCH
        for _ in range(batch):
            release()
        count += batch
    done.append((count, time.perf_counter() - began))


def pair():
    """A cycle of system calls: a send and a receive."""
    one, other = socket.socketpair()

    def exchange():
        one.send(b"x")
        other.recv(1)

    return exchange


def cycler(todo, finished, *what):
    while True:
        todo.acquire()
        cycle(*what)
        finished.release()


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
    parser.add_argument("--seconds", type=float, default=3, help="how long a measurement lasts (3)")
    parser.add_argument("--cycles", type=int, default=0, help="exactly so many cycles, however long it takes")
    parser.add_argument("--threads", type=int, default=0, help="threads parked in a lock beside it (0)")
    parser.add_argument("--loops", type=int, default=1, help="threads that cycle (1: the main thread)")
    parser.add_argument("--sockets", action="store_true", help="a cycle is a send and a receive on a pair of sockets")
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.add_argument("--handshake", action="store_true", help="print `ready`, wait for `go` and `exit` on stdin")
    options = parser.parse_args()

    release = ctypes.CDLL(None).pthread_self
    release.argtypes = []
    release.restype = None
    if options.sockets:
        release = pair()
    done = []
    what = release, options.seconds, options.cycles, done

    threading.stack_size(256 * 1024)
    for index in range(options.threads):
        lock = threading.Lock()
        lock.acquire()
        threading.Thread(target=lock.acquire, name="parked-{}".format(index), daemon=True).start()
    todo, finished = threading.Semaphore(0), threading.Semaphore(0)
    for index in range(1, options.loops):
        threading.Thread(target=cycler, args=(todo, finished) + what, name="loop-{}".format(index), daemon=True).start()

    def work():
        del done[:]
        for _ in range(1, options.loops):
            todo.release()
        cycle(*what)
        for _ in range(1, options.loops):
            finished.acquire()
        cycles, seconds = sum(count for count, _ in done), max(seconds for _, seconds in done)
        return {"sample": "loop", "cycles": cycles, "seconds": round(seconds, 6),
                "cycles_per_s": round(cycles / seconds), "ns_per_cycle": round(seconds / cycles * 1e9, 1),
                "threads": options.threads, "loops": options.loops}

    run(options, {"pids": [os.getpid()], "roles": {"loop": os.getpid()}}, work)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
