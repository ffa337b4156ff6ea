#!/usr/bin/env python3
"""Workload B: one echo server written five ways, idle and beside a CPU-bound thread (Beazley, 2011).

A client in another process sends 8 KiB, waits for the echo, pauses 1 ms, and again. The server runs in the thread
`server`; with `--beside fib` the threads fib-0 … of its process compute Fibonacci numbers by recursion.

    --server sockets            blocking sockets: receives a size, then a payload, sends both
    --server nonblocking        the same, non-blocking: coroutines on select
    --server multiprocessing    a multiprocessing.connection
    --server pyzmq              ZeroMQ from Python (the package pyzmq)
    --server c-zmq              ZeroMQ from C: no GIL is involved, so nothing can go wrong (a C compiler, libzmq3-dev)

10 000 messages take about 11 s if nothing stalls. Each hand-over of the GIL costs up to 5 ms, and a message takes up to
three. Result: milliseconds a message without the pause, and the seconds that 10 000 messages take at this pace.
CPython 3.7 or newer, the standard library but for pyzmq. The GUI-like event loop is b_eventloop.py.
"""
import argparse
import ctypes
import json
import multiprocessing.connection
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

PAYLOAD = b"x" * 8192
PAUSE_S = 0.001
SIZE = struct.Struct("!I")


# --- five servers, each with its client's exchange of one message -----------------------------------------------------


def receive_exactly(connection, size):
    parts = []
    while size:
        part = connection.recv(size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class Sockets:
    def listen(self, port):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(8)
        return self.listener.getsockname()

    def serve(self):
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                header = receive_exactly(connection, SIZE.size)
                payload = receive_exactly(connection, SIZE.unpack(header)[0])
                connection.sendall(header + payload)
        except (EOFError, ConnectionError):
            pass

    def connect(self, address):
        connection = socket.create_connection(tuple(address))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def exchange():
            connection.sendall(SIZE.pack(len(PAYLOAD)) + PAYLOAD)
            header = receive_exactly(connection, SIZE.size)
            receive_exactly(connection, SIZE.unpack(header)[0])

        return exchange


class NonBlocking(Sockets):
    """Coroutines that yield what they wait for, as one wrote them before asyncio."""

    def serve(self):
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        task = self.echo(connection)
        try:
            readers, writers = next(task)
            while True:
                select.select(readers, writers, [])
                readers, writers = task.send(None)
        except (EOFError, ConnectionError):
            pass

    def receive(self, connection, size):
        received = b""
        while len(received) < size:
            yield [connection], []
            part = connection.recv(size - len(received))
            if not part:
                raise EOFError
            received += part
        return received

    def echo(self, connection):
        while True:
            header = yield from self.receive(connection, SIZE.size)
            payload = yield from self.receive(connection, SIZE.unpack(header)[0])
            message = header + payload
            while message:
                yield [], [connection]
                message = message[connection.send(message):]


class Multiprocessing:
    def listen(self, port):
        self.listener = multiprocessing.connection.Listener(("127.0.0.1", port))
        return self.listener.address

    def serve(self):
        connection = self.listener.accept()
        try:
            while True:
                connection.send_bytes(connection.recv_bytes())
        except (EOFError, ConnectionError):
            pass

    def connect(self, address):
        connection = multiprocessing.connection.Client(tuple(address))

        def exchange():
            connection.send_bytes(PAYLOAD)
            connection.recv_bytes()

        return exchange


class PyZmq:
    def __init__(self):
        try:
            import zmq
        except ImportError:
            sys.exit("b_messaging: --server pyzmq needs the package pyzmq: "
                     "{} -m pip install -r samples/requirements.txt".format(sys.executable))
        self.zmq = zmq

    def listen(self, port):
        self.socket = self.zmq.Context.instance().socket(self.zmq.REP)
        try:
            self.socket.bind("tcp://127.0.0.1:{}".format(port or "*"))
        except self.zmq.ZMQError as error:
            raise OSError(error.errno, str(error))
        return self.socket.getsockopt(self.zmq.LAST_ENDPOINT).decode().rstrip("\0")

    def serve(self):
        while True:
            self.socket.send(self.socket.recv())

    def connect(self, address):
        connection = self.zmq.Context.instance().socket(self.zmq.REQ)
        connection.connect(address)

        def exchange():
            connection.send(PAYLOAD)
            connection.recv()

        return exchange


C_SOURCE = r"""
#include <errno.h>
#include <zmq.h>

static void *server, *client;
static char message[65536];

int server_listen(const char *wanted, char *endpoint, size_t room) {
    server = zmq_socket(zmq_ctx_new(), ZMQ_REP);
    if (zmq_bind(server, wanted)) return zmq_errno();
    return zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, endpoint, &room) ? zmq_errno() : 0;
}
int server_run(void) {
    for (;;) {
        int size = zmq_recv(server, message, sizeof message, 0);
        if (size < 0 && zmq_errno() == EINTR) continue;
        if (size < 0 || zmq_send(server, message, size, 0) < 0) return zmq_errno();
    }
}
int client_connect(const char *endpoint) {
    client = zmq_socket(zmq_ctx_new(), ZMQ_REQ);
    return zmq_connect(client, endpoint) ? zmq_errno() : 0;
}
int client_exchange(const char *payload, size_t size) {
    if (zmq_send(client, payload, size, 0) < 0) return zmq_errno();
    return zmq_recv(client, message, sizeof message, 0) < 0 ? zmq_errno() : 0;
}
"""


class CZmq:
    def __init__(self):
        compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
        if not compiler or not shutil.which(compiler.split()[0]):
            sys.exit("b_messaging: --server c-zmq needs a C compiler (cc, gcc, clang or $CC): "
                     "on Debian, apt-get install gcc libc6-dev libzmq3-dev")
        with tempfile.TemporaryDirectory(prefix="gilscope-sample-") as folder:
            path = os.path.join(folder, "echo.so")
            made = subprocess.run(
                compiler.split() + ["-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", path, "-x", "none", "-lzmq"],
                input=C_SOURCE.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if made.returncode:
                said = made.stdout.decode(errors="replace")
                sys.exit("b_messaging: --server c-zmq needs ZeroMQ's C library: on Debian, apt-get install "
                         "libzmq3-dev (the compiler said: {})".format(said.strip().split("\n")[0]))
            self.library = ctypes.CDLL(path)
        self.library.client_exchange.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

    def check(self, error):
        if error:
            raise OSError(error, os.strerror(error))

    def listen(self, port):
        endpoint = ctypes.create_string_buffer(256)
        wanted = "tcp://127.0.0.1:{}".format(port or "*")
        self.check(self.library.server_listen(wanted.encode(), endpoint, ctypes.c_size_t(256)))
        return endpoint.value.decode()

    def serve(self):
        self.check(self.library.server_run())

    def connect(self, address):
        self.check(self.library.client_connect(address.encode()))
        return lambda: self.check(self.library.client_exchange(PAYLOAD, len(PAYLOAD)))


SERVERS = {"sockets": Sockets, "nonblocking": NonBlocking, "multiprocessing": Multiprocessing, "pyzmq": PyZmq,
           "c-zmq": CZmq}


# --- the client's process ---------------------------------------------------------------------------------------------


def run_client(server, orders, results):
    """The first line of the orders is the address, each further one how many messages and how many seconds."""
    exchange = server.connect(json.loads(orders.readline()))
    exchange()
    print("connected", file=results, flush=True)
    for order in iter(orders.readline, ""):
        messages, seconds = json.loads(order)
        times, began = [], time.perf_counter()
        until = began + seconds
        while len(times) < messages and (not times or time.perf_counter() < until):
            sent = time.perf_counter()
            exchange()
            times.append(time.perf_counter() - sent)
            time.sleep(PAUSE_S)
        took = time.perf_counter() - began
        times.sort()
        print(json.dumps({
            "messages": len(times), "ms_per_message": round(sum(times) / len(times) * 1e3, 3),
            "p50_ms": round(times[len(times) // 2] * 1e3, 3), "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 3),
            "took_s": round(took, 3), "s_per_10000": round(took / len(times) * 10000, 1)}), file=results, flush=True)


def fork_client(server):
    """Forks the client's process, before this one has any thread: its PID, a file to order, a file of results."""
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
            libc.prctl(15, b"echo-client")  # PR_SET_NAME
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends us
            if os.getppid() == parent:
                run_client(server, os.fdopen(orders_out), os.fdopen(results_in, "w"))
                status = 0
        except (OSError, EOFError) as error:
            print("b_messaging: client: {}".format(error), file=sys.stderr)
        finally:
            os._exit(status)
    os.close(orders_out)
    os.close(results_in)
    return pid, os.fdopen(orders_in, "w"), os.fdopen(results_out)


# --- the server's process ---------------------------------------------------------------------------------------------


def fibonacci(number):
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


class CpuBound:
    """A thread that computes while it is told to."""

    def __init__(self, index):
        self.todo, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.keep_on, self.computed = [], 0
        threading.Thread(target=self.live, name="fib-{}".format(index), daemon=True).start()

    def live(self):
        while True:
            self.todo.acquire()
            computed = 0
            while self.keep_on:
                fibonacci(17)
                computed += 1
            self.computed = computed
            self.done.release()

    def start(self):
        self.keep_on.append(True)
        self.todo.release()

    def stop(self):
        self.keep_on.clear()
        self.done.acquire()
        return self.computed


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


def from_client(results):
    line = results.readline()
    if not line:
        sys.exit("b_messaging: the client's process has gone")
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", choices=SERVERS, default="sockets", help="how the server is written (sockets)")
    parser.add_argument("--beside", choices=("none", "fib"), default="fib", help="what runs beside it (fib)")
    parser.add_argument("--messages", type=int, default=10000, help="end after so many messages (10000) …")
    parser.add_argument("--seconds", type=float, default=3, help="… or after this time (3)")
    parser.add_argument("--threads", type=int, default=1, help="threads of --beside fib (1)")
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1 (any that is free)")
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.add_argument("--handshake", action="store_true", help="print `ready`, wait for `go` and `exit` on stdin")
    options = parser.parse_args()
    if options.messages < 1 or options.threads < 0:
        parser.error("there must be a message, and no negative number of threads")

    server = SERVERS[options.server]()
    child, orders, results = fork_client(server)
    try:
        try:
            address = server.listen(options.port)
        except OSError as error:
            sys.exit("b_messaging: port {} on 127.0.0.1: {}; leave --port out for any free one".format(
                options.port, error.strerror))
        threading.Thread(target=server.serve, name="server", daemon=True).start()
        beside = [CpuBound(index) for index in range(options.threads if options.beside == "fib" else 0)]
        print(json.dumps(address), file=orders, flush=True)
        from_client(results)

        def work():
            began = time.perf_counter()
            for thread in beside:
                thread.start()
            print(json.dumps([options.messages, options.seconds]), file=orders, flush=True)
            measured = json.loads(from_client(results))
            took = time.perf_counter() - began
            computed = sum(thread.stop() for thread in beside)
            result = {"sample": "B", "server": options.server, "beside": options.beside, "threads": len(beside)}
            result.update(measured, fibonacci_17_per_s=round(computed / took))
            return result

        process = os.getpid()
        run(options, {"pids": [process], "roles": {"server": process, "client": child}, "address": address}, work)
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
    os._exit(status)  # does not wait for the server's thread, nor for ZeroMQ's
