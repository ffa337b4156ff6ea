#!/usr/bin/env python3
"""Workload A: an asyncio echo server beside busy threads (bpo-7946, gh-89977).

The server's event loop runs in the thread `event-loop`; T threads `spinner-0` … of the same process spin in pure Python
(spin_python). N clients, in another process, send 100 bytes, wait for the echo, and again. Every recv and send gives the
GIL away for a moment; the spinner takes it, and the loop gets it back only after a switch interval of 5 ms: one request
(one recv and one send) takes up to 10 ms, however many clients there are.

It takes a processor to spare: where the spinner, woken by the release, does not get one at once, the loop may have the
GIL back before it runs, and nothing stalls. On a loaded machine `--think-ms 0.5` makes the clients slow enough for that.

    python3 a_asyncio.py --threads 0        the server alone: more than 10 000 requests a second
    python3 a_asyncio.py --threads 1        beside one spinner: 100 to 200
    python3 a_asyncio.py --threads 1 --switch-interval 0.0005

Result: requests a second, latency, and what the spinners got done. Standard library only, CPython 3.7 or newer.
"""
import argparse
import asyncio
import ctypes
import json
import os
import select
import signal
import socket
import sys
import threading
import time

MESSAGE = b"x" * 100


# --- the server's process ---------------------------------------------------------------------------------------------


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


def serve(listener, started):
    """The body of the thread `event-loop`."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(loop.create_server(Echo, sock=listener))
    loop.call_soon(started.set)
    loop.run_forever()


def spin_python(keep_on):
    """Busy in pure Python: lets go of the GIL only when the interpreter asks for it."""
    cycles = 0
    while keep_on:
        cycles += 1
    return cycles


class Spinner:
    """A thread that spins while it is told to."""

    def __init__(self, index):
        self.todo, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.keep_on, self.cycles = [], 0
        threading.Thread(target=self.live, name="spinner-{}".format(index), daemon=True).start()

    def live(self):
        while True:
            self.todo.acquire()
            self.cycles = spin_python(self.keep_on)
            self.done.release()

    def start(self):
        self.keep_on.append(True)
        self.todo.release()

    def stop(self):
        self.keep_on.clear()
        self.done.acquire()
        return self.cycles


# --- the clients' process ---------------------------------------------------------------------------------------------


def run_clients(address, count, think, orders, results):
    """One thread, non-blocking sockets and epoll, so that no client waits for another one's GIL."""
    poll = select.epoll()
    clients = {}
    for _ in range(count):
        client = socket.create_connection(address)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        clients[client.fileno()] = client
        poll.register(client, select.EPOLLIN)
    results.write("connected\n")
    results.flush()
    for order in iter(orders.readline, ""):
        results.write(json.dumps(measure(clients, poll, think, float(order))) + "\n")
        results.flush()


def measure(clients, poll, think, seconds):
    began = time.perf_counter()
    until = began + seconds
    sent, waits, missing, pending = {}, [], {}, len(clients)
    for fd, client in clients.items():
        sent[fd], missing[fd] = time.perf_counter(), len(MESSAGE)
        client.send(MESSAGE)
    while pending:
        for fd, _event in poll.poll(1):
            client = clients[fd]
            received = len(client.recv(4096))
            if not received:
                raise SystemExit("the server closed the connection")
            missing[fd] -= received
            if missing[fd]:
                continue
            now = time.perf_counter()
            waits.append(now - sent[fd])
            if now < until:
                if think:
                    time.sleep(think)
                sent[fd], missing[fd] = time.perf_counter(), len(MESSAGE)
                client.send(MESSAGE)
            else:
                pending -= 1
    took = time.perf_counter() - began
    waits.sort()
    return {"requests": len(waits), "requests_per_s": round(len(waits) / took, 1),
            "p50_ms": round(waits[len(waits) // 2] * 1e3, 3), "p99_ms": round(waits[len(waits) * 99 // 100] * 1e3, 3),
            "took_s": round(took, 3)}


def fork_clients(address, count, think):
    """Forks the clients' process, before this one has any thread: its PID, a file to order, a file of results."""
    orders_out, orders_in = os.pipe()
    results_out, results_in = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(orders_in)
            os.close(results_out)
            libc = ctypes.CDLL(None)
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlive the server
            libc.prctl(15, b"echo-clients")  # PR_SET_NAME
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends us
            if os.getppid() == parent:
                run_clients(address, count, think, os.fdopen(orders_out), os.fdopen(results_in, "w"))
                status = 0
        except OSError as error:
            print("a_asyncio: clients: {}".format(error), file=sys.stderr)
        finally:
            os._exit(status)
    os.close(orders_out)
    os.close(results_in)
    return pid, os.fdopen(orders_in, "w"), os.fdopen(results_out)


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


def from_clients(results):
    line = results.readline()
    if not line:
        sys.exit("a_asyncio: the clients' process has gone")
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3, help="how long a measurement lasts (3)")
    parser.add_argument("--threads", type=int, default=1, help="busy threads beside the event loop (1)")
    parser.add_argument("--clients", type=int, default=1, help="connections that ask at once (1)")
    parser.add_argument("--switch-interval", type=float, metavar="SECONDS", help="sys.setswitchinterval (0.005)")
    parser.add_argument("--think-ms", type=float, default=0, help="a client's pause between two requests (0)")
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1 (any that is free)")
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.add_argument("--handshake", action="store_true", help="print `ready`, wait for `go` and `exit` on stdin")
    options = parser.parse_args()
    if options.clients < 1 or options.threads < 0 or options.seconds <= 0:
        parser.error("there must be a client, no negative number of threads, and some time")
    if options.switch_interval is not None:
        sys.setswitchinterval(options.switch_interval)

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", options.port))
    except OSError as error:
        sys.exit("a_asyncio: port {} on 127.0.0.1: {}; leave --port out for any free one".format(
            options.port, error.strerror))
    listener.listen(128)
    child, orders, results = fork_clients(listener.getsockname(), options.clients, options.think_ms / 1e3)
    try:
        started = threading.Event()
        threading.Thread(target=serve, args=(listener, started), name="event-loop", daemon=True).start()
        started.wait()
        spinners = [Spinner(index) for index in range(options.threads)]
        from_clients(results)

        def work():
            began = time.perf_counter()
            for spinner in spinners:
                spinner.start()
            orders.write("{}\n".format(options.seconds))
            orders.flush()
            measured = json.loads(from_clients(results))
            took = time.perf_counter() - began
            cycles = sum(spinner.stop() for spinner in spinners)
            result = {"sample": "A", "clients": options.clients, "threads": options.threads,
                      "switch_interval_s": sys.getswitchinterval()}
            result.update(measured, spinner_cycles_per_s=round(cycles / took))
            return result

        server = os.getpid()
        run(options, {"pids": [server], "roles": {"server": server, "clients": child},
                      "address": "%s:%s" % listener.getsockname()}, work)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
