#!/usr/bin/env python3
"""Workload E: does file I/O release the GIL? (a blog's open question: it does)

A thread computes factorials in pure Python, beside I/O that gives the GIL away for every system call, and then has to
wait for it, for up to a switch interval, however short the call was:

    --work http    GET a megabyte from an HTTP server (another process of this sample, on 127.0.0.1)
    --work read    read a big file, a megabyte at a time, from the disk (--warm: from the page cache)
    --work md5     the MD5 sum of every file of a directory
    --work all     all of these

    --how sequence    factorials first, then each work, all in MainThread
    --how threads     the threads factorial, http, read, md5, at once
    --how pool        the same in a ThreadPoolExecutor (threads pool_0 …), the results taken by call-backs

Result: how long a round of all took, and each part of it. Standard library only, CPython 3.6 or newer.
"""
import argparse
import concurrent.futures
import ctypes
import hashlib
import http.client
import http.server
import json
import os
import shutil
import signal
import socketserver
import sys
import tempfile
import threading
import time

CHUNK = 1 << 20
MD5_FILES, MD5_BYTES = 40, 256 * 1024


# --- the parts of a round ---------------------------------------------------------------------------------------------


def compute_factorial(number):
    product = 1
    for factor in range(2, number + 1):
        product *= factor
    return product


class Parts:
    def __init__(self, folder, address, options):
        self.address, self.options = address, options
        self.big = os.path.join(folder, "big")
        self.directory = os.path.join(folder, "directory")
        noise = os.urandom(CHUNK)
        with open(self.big, "wb") as file:
            for _ in range(options.megabytes):
                file.write(noise)
            file.flush()
            os.fsync(file.fileno())
        os.mkdir(self.directory)
        for index in range(MD5_FILES):
            with open(os.path.join(self.directory, "file-%02d" % index), "wb") as file:
                file.write(noise[:MD5_BYTES])

    def factorial(self):
        for _ in range(self.options.factorials):
            compute_factorial(self.options.number)

    def http(self):
        for _ in range(self.options.gets):
            connection = http.client.HTTPConnection(*self.address)
            connection.request("GET", "/")
            if len(connection.getresponse().read()) != CHUNK:
                raise ValueError("the HTTP server sent too little")
            connection.close()

    def read(self):
        with open(self.big, "rb", buffering=0) as file:
            if not self.options.warm:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while file.read(CHUNK):
                pass

    def md5(self):
        for name in sorted(os.listdir(self.directory)):
            with open(os.path.join(self.directory, name), "rb") as file:
                hashlib.md5(file.read()).hexdigest()


# --- how they run -----------------------------------------------------------------------------------------------------


over = threading.Event()


def timed(part, times):
    began = time.perf_counter()
    try:
        part()
    except (OSError, http.client.HTTPException):
        if over.is_set():
            return  # the files and the server are being cleared away
        raise
    times[part.__name__].append(time.perf_counter() - began)


def in_sequence(parts, times):
    for part in parts:
        timed(part, times)


def in_threads(parts, times):
    threads = [threading.Thread(target=timed, args=(part, times), name=part.__name__, daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Pool:
    """A pool that lives as long as the sample; call-backs collect the results."""

    def __init__(self, size):
        self.pool = concurrent.futures.ThreadPoolExecutor(size, thread_name_prefix="pool")
        self.size = size
        all_here = threading.Barrier(size)
        concurrent.futures.wait([self.pool.submit(all_here.wait) for _ in range(size)])

    def __call__(self, parts, times):
        finished = threading.Semaphore(0)
        futures = []
        for part in parts:
            future = self.pool.submit(timed, part, times)
            future.add_done_callback(lambda _: finished.release())
            futures.append(future)
        for _ in futures:
            finished.acquire()
        for future in futures:
            future.result()


# --- the HTTP server's process ----------------------------------------------------------------------------------------


class Megabyte(http.server.BaseHTTPRequestHandler):
    body = b"x" * CHUNK

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(CHUNK))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


def fork_server(port, folder):
    """Forks the server's process, before this one has any thread: its PID and its address.

    It ends when the parent ends, however that happens, and then removes the folder."""
    try:
        server = socketserver.TCPServer(("127.0.0.1", port), Megabyte)
    except OSError as error:
        sys.exit("e_files: port {} on 127.0.0.1: {}; leave --port out for any free one".format(port, error.strerror))
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            libc = ctypes.CDLL(None)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit())
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
            libc.prctl(15, b"http-server")  # PR_SET_NAME
            if os.getppid() == parent:
                server.serve_forever()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)
    server.socket.close()
    return pid, server.server_address


# --- all of it --------------------------------------------------------------------------------------------------------


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


def measure(options, parts, how):
    chosen = [parts.factorial]
    chosen += [part for part in (parts.http, parts.read, parts.md5) if options.work in (part.__name__, "all")]
    times = {part.__name__: [] for part in chosen}
    rounds, began = 0, time.perf_counter()
    while rounds == 0 or time.perf_counter() - began < options.seconds:
        how(chosen, times)
        rounds += 1
    took = time.perf_counter() - began
    result = {"sample": "E", "how": options.how, "work": options.work, "rounds": rounds,
              "round_ms": round(took / rounds * 1e3, 1)}
    for name, seconds in times.items():
        if len(seconds) != rounds:
            sys.exit("e_files: {} failed".format(name))
        result[name + "_ms"] = round(sum(seconds) / rounds * 1e3, 1)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--how", choices=("sequence", "threads", "pool"), default="threads", help="(threads)")
    parser.add_argument("--work", choices=("http", "read", "md5", "all"), default="all", help="beside factorials (all)")
    parser.add_argument("--seconds", type=float, default=3, help="start no new round after this time (3)")
    parser.add_argument("--threads", type=int, default=4, help="size of the pool (4)")
    parser.add_argument("--megabytes", type=int, default=32, help="size of the big file (32)")
    parser.add_argument("--gets", type=int, default=4, help="HTTP requests of a round (4)")
    parser.add_argument("--factorials", type=int, default=20, help="factorials of a round (20)")
    parser.add_argument("--number", type=int, default=8000, help="of which number (8000)")
    parser.add_argument("--warm", action="store_true", help="read the big file from the page cache")
    parser.add_argument("--port", type=int, default=0, help="of the HTTP server, on 127.0.0.1 (any that is free)")
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.add_argument("--handshake", action="store_true", help="print `ready`, wait for `go` and `exit` on stdin")
    options = parser.parse_args()
    if min(options.threads, options.megabytes, options.gets, options.factorials) < 1:
        parser.error("numbers start at 1")

    # Not in /tmp, which may be memory, where no read ever reaches a disk.
    folder = tempfile.mkdtemp(prefix="gilscope-sample-", dir="/var/tmp" if os.path.isdir("/var/tmp") else None)
    child = None
    try:
        child, address = fork_server(options.port, folder)
        parts = Parts(folder, address, options)
        how = {"sequence": lambda: in_sequence, "threads": lambda: in_threads,
               "pool": lambda: Pool(options.threads)}[options.how]()
        process = os.getpid()
        run(options, {"pids": [process], "roles": {"process": process, "http-server": child}},
            lambda: measure(options, parts, how))
    finally:
        over.set()
        if child:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)


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
    os._exit(status)  # does not wait for the pool's threads, which are no daemons
