#!/usr/bin/env python3
"""Workload B, the window: a GUI-like event loop beside a busy thread (Beazley, 2011: IDLE is unusable).

The thread `event-loop` waits for events as a toolkit does (poll, then read); for each it runs a handler which draws by
small writes to its display server, as a toolkit does too. A user and display server, in another process, types
`--rate` keys a second and knows when each one's picture came. `--threads` busy threads spinner-0 … run beside it. Every
poll, read and write gives the GIL away, so each handler pays the switch interval several times over.

Result: the time from a key to its last draw, and how many keys were drawn of those typed. Standard library only,
CPython 3.7 or newer.
"""
import argparse
import ctypes
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

EVENT = struct.Struct("!Qd")  # number, when it was typed
LAST = b"L"
DRAW = b"D"


# --- the program with the window --------------------------------------------------------------------------------------


def event_loop(display, draws):
    poll = select.poll()
    poll.register(display, select.POLLIN)
    try:
        while True:
            poll.poll()
            event = display.recv(EVENT.size, socket.MSG_WAITALL)
            if not event:
                return
            on_key(display, event, draws)
    except ConnectionError:
        pass  # the display server has gone


def on_key(display, event, draws):
    """Draws: the cursor, the letter, the status line …, each a request to the display server."""
    for _ in range(draws - 1):
        display.send(DRAW + event)
    display.send(LAST + event)


def spin_python(keep_on):
    """Busy in pure Python: lets go of the GIL only when the interpreter asks for it."""
    while keep_on:
        pass


def spinner(todo, done, keep_on):
    while True:
        todo.acquire()
        spin_python(keep_on)
        done.release()


# --- the user and the display server, in another process --------------------------------------------------------------


def run_user(display, orders, results):
    buffer = bytearray()  # kept, since the end of a picture may come late
    for order in iter(orders.readline, ""):
        results.write(json.dumps(type_and_look(display, buffer, *json.loads(order))) + "\n")
        results.flush()


def type_and_look(display, buffer, seconds, rate):
    """Types at its rate, whatever the program does; waits up to a second more for the last pictures."""
    poll = select.poll()
    poll.register(display, select.POLLIN)
    began = time.monotonic()
    typed, delays, size = 0, [], 1 + EVENT.size
    wanted = max(1, int(seconds * rate))
    while True:
        now = time.monotonic()
        if typed < wanted and now >= began + typed / rate:
            display.send(EVENT.pack(typed, now))
            typed += 1
            continue
        if len(delays) == typed == wanted or now > began + seconds + 1:
            break
        next_key = began + typed / rate if typed < wanted else began + seconds + 1
        if not poll.poll(max(0, next_key - now) * 1000):
            continue
        buffer += display.recv(65536)
        while len(buffer) >= size:
            kind, (_number, at) = buffer[:1], EVENT.unpack(buffer[1:size])
            del buffer[:size]
            if kind == LAST and at >= began:
                delays.append(time.monotonic() - at)
    delays.sort()
    seen = len(delays)
    result = {"keys": typed, "drawn": seen}
    if seen:
        result.update(p50_ms=round(delays[seen // 2] * 1e3, 3), p99_ms=round(delays[seen * 99 // 100] * 1e3, 3),
                      worst_ms=round(delays[-1] * 1e3, 3))
    return result


def fork_user():
    """Forks the other process, before this one has any thread: its PID, the socket, orders and results."""
    ours, theirs = socket.socketpair()
    orders_out, orders_in = os.pipe()
    results_out, results_in = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            ours.close()
            os.close(orders_in)
            os.close(results_out)
            libc = ctypes.CDLL(None)
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlive the program
            libc.prctl(15, b"display-server")  # PR_SET_NAME
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program ends us
            if os.getppid() == parent:
                run_user(theirs, os.fdopen(orders_out), os.fdopen(results_in, "w"))
                status = 0
        except OSError as error:
            print("b_eventloop: display server: {}".format(error), file=sys.stderr)
        finally:
            os._exit(status)
    theirs.close()
    os.close(orders_out)
    os.close(results_in)
    return pid, ours, os.fdopen(orders_in, "w"), os.fdopen(results_out)


# --- both -------------------------------------------------------------------------------------------------------------


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
    parser.add_argument("--seconds", type=float, default=3, help="how long the user types (3)")
    parser.add_argument("--threads", type=int, default=1, help="busy threads beside the event loop (1)")
    parser.add_argument("--rate", type=float, default=10, help="keys a second (10)")
    parser.add_argument("--draws", type=int, default=5, help="draw requests of a handler (5)")
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.add_argument("--handshake", action="store_true", help="print `ready`, wait for `go` and `exit` on stdin")
    options = parser.parse_args()
    if options.threads < 0 or options.rate <= 0 or options.draws < 1:
        parser.error("no negative number of threads, some keys, and something to draw")

    child, display, orders, results = fork_user()
    try:
        started = threading.Event()
        threading.Thread(target=lambda: (started.set(), event_loop(display, options.draws)), name="event-loop",
                         daemon=True).start()
        started.wait()
        todo, done, keep_on = threading.Semaphore(0), threading.Semaphore(0), []
        for index in range(options.threads):
            threading.Thread(target=spinner, args=(todo, done, keep_on), name="spinner-{}".format(index),
                             daemon=True).start()

        def work():
            keep_on.append(True)
            for _ in range(options.threads):
                todo.release()
            orders.write(json.dumps([options.seconds, options.rate]) + "\n")
            orders.flush()
            line = results.readline()
            if not line:
                sys.exit("b_eventloop: the display server's process has gone")
            keep_on.clear()
            for _ in range(options.threads):
                done.acquire()
            result = {"sample": "B", "server": "eventloop", "threads": options.threads, "draws": options.draws}
            result.update(json.loads(line))
            return result

        program = os.getpid()
        run(options, {"pids": [program], "roles": {"program": program, "display-server": child}}, work)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
