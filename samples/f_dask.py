#!/usr/bin/env python3
"""Workload F: a Dask cluster on this machine, pure Python tasks beside data transfer.

Starts a scheduler, a nanny process, and two workers (`--workers`) with four threads each (`--threads`): all processes
of their own, on 127.0.0.1. In rounds, every worker's task threads compute in pure Python (compute_in_python) while
other tasks make data on one worker and take it on the next. Transfers, heartbeats and this driver's questions are served
by each worker's event loop, which has to win the GIL from the task threads.

Result: tasks and transfers a second, and how long a worker's event loop takes to answer. Needs the package distributed,
pinned in samples/requirements.txt; CPython 3.8 or newer.
"""
import argparse
import ctypes
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

START_SECONDS = 60


# --- what the cluster runs; functions of __main__ travel by value -----------------------------------------------------


def compute_in_python(milliseconds):
    """A task that holds on to the GIL as pure Python does."""
    until, turns = time.perf_counter() + milliseconds / 1e3, 0
    while time.perf_counter() < until:
        for _ in range(1000):
            turns += 1
    return turns


def make_data(size, number):
    return number.to_bytes(8, "little") * (size // 8)


def take_data(data):
    return len(data)


def describe_worker():
    """Runs on a worker's event loop."""
    thread = threading.current_thread()
    return {"pid": os.getpid(), "event_loop": {"name": thread.name, "tid": threading.get_native_id()}}


# --- the cluster's processes ------------------------------------------------------------------------------------------


class Cluster:
    """The processes, their logs and their folder; leaves nothing behind."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="gilscope-sample-")
        self.scheduler_file = os.path.join(self.folder, "scheduler.json")
        self.processes = {}
        self.libc = ctypes.CDLL(None)

    def start(self, role, *arguments):
        def end_with_the_driver():
            self.libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG

        log = os.path.join(self.folder, role + ".log")
        with open(log, "wb") as output:
            self.processes[role] = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + arguments[0]] + list(arguments[1:]),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=self.folder,
                preexec_fn=end_with_the_driver)

    def log_of(self, role):
        with open(os.path.join(self.folder, role + ".log"), errors="replace") as log:
            return "".join(log.readlines()[-15:])

    def check(self):
        for role, process in self.processes.items():
            if process.poll() is not None:
                sys.exit("f_dask: the {} ended with status {}:\n{}".format(
                    role, process.returncode, self.log_of(role)))

    def end(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + 2
        for process in self.processes.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)  # each leads a session: a nanny's workers are in its group
            except ProcessLookupError:
                pass
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_cluster(cluster, options):
    """Answers a client that sees all workers."""
    from distributed import Client

    cluster.start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", str(options.port), "--no-dashboard",
                  "--scheduler-file", cluster.scheduler_file)
    until = time.monotonic() + START_SECONDS
    while not os.path.exists(cluster.scheduler_file):  # dask's own way to say that it is there
        cluster.check()
        if time.monotonic() > until:
            sys.exit("f_dask: the scheduler did not start:\n" + cluster.log_of("scheduler"))
        time.sleep(0.05)
    cluster.start("nanny", "worker", "--scheduler-file", cluster.scheduler_file, "--host", "127.0.0.1",
                  "--no-dashboard", "--nworkers", str(options.workers), "--nthreads", str(options.threads), "--memory-limit", "0",
                  "--local-directory", cluster.folder)
    client = Client(scheduler_file=cluster.scheduler_file, timeout=START_SECONDS)
    try:
        client.wait_for_workers(options.workers, timeout=START_SECONDS)
    except Exception:
        cluster.check()
        sys.exit("f_dask: the workers did not start:\n" + cluster.log_of("nanny"))
    return client


# --- the work ---------------------------------------------------------------------------------------------------------


def ask_event_loops(client, answers, keep_on, stopped):
    """Measures how long the event loops take to answer: the one figure that a user of the cluster feels."""
    while keep_on:
        asked = time.perf_counter()
        try:
            client.run(os.getpid)
        except Exception:
            break  # the cluster is being torn down, or measure() says what is wrong with it
        answers.append(time.perf_counter() - asked)
    stopped.release()


def measure(client, addresses, options):
    from distributed import wait

    answers, keep_on, stopped = [], [True], threading.Semaphore(0)
    threading.Thread(target=ask_event_loops, args=(client, answers, keep_on, stopped), name="asker",
                     daemon=True).start()
    began, tasks, transfers, number = time.perf_counter(), 0, 0, 0
    while time.perf_counter() - began < options.seconds:
        futures, taken = [], []
        for index, address in enumerate(addresses):
            following = addresses[(index + 1) % len(addresses)]
            for _ in range(options.threads):
                futures.append(client.submit(compute_in_python, options.task_ms, workers=[address], pure=False))
            for _ in range(2):
                number += 1
                data = client.submit(make_data, options.kilobytes * 1024, number, workers=[address], pure=False)
                futures.append(data)
                taken.append(client.submit(take_data, data, workers=[following], pure=False))
        if set(client.gather(taken)) != {options.kilobytes * 1024}:
            sys.exit("f_dask: data got lost on its way")
        wait(futures)
        tasks, transfers = tasks + len(futures) + len(taken), transfers + len(taken)
    took = time.perf_counter() - began
    keep_on.clear()
    stopped.acquire()
    answers.sort()
    if not answers:
        sys.exit("f_dask: no worker answered")
    return {"sample": "F", "workers": options.workers, "threads": options.threads,
            "tasks_per_s": round(tasks / took, 1), "transfers_per_s": round(transfers / took, 1),
            "answers": len(answers), "event_loop_p50_ms": round(answers[len(answers) // 2] * 1e3, 2),
            "event_loop_p99_ms": round(answers[len(answers) * 99 // 100] * 1e3, 2)}


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
    parser.add_argument("--seconds", type=float, default=5, help="start no new round after this time (5)")
    parser.add_argument("--threads", type=int, default=4, help="task threads of a worker (4)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (2)")
    parser.add_argument("--task-ms", type=float, default=20, help="how long a pure Python task computes (20)")
    parser.add_argument("--kilobytes", type=int, default=512, help="size of a transfer (512)")
    parser.add_argument("--port", type=int, default=0, help="of the scheduler, on 127.0.0.1 (any that is free)")
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.add_argument("--handshake", action="store_true", help="print `ready`, wait for `go` and `exit` on stdin")
    options = parser.parse_args()
    try:
        import distributed.cli.dask_worker  # noqa: F401
    except ImportError as error:
        sys.exit("f_dask: needs the package distributed ({}): {} -m pip install -r samples/requirements.txt".format(
            error, sys.executable))

    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the scheduler does
            probe.bind(("127.0.0.1", options.port))
    except OSError as error:
        sys.exit("f_dask: port {} on 127.0.0.1: {}; leave --port out for any free one".format(
            options.port, error.strerror))
    cluster = Cluster()
    try:
        client = start_cluster(cluster, options)
        described = client.run(describe_worker)
        roles = {role: process.pid for role, process in cluster.processes.items()}
        event_loops = {}
        for index, (address, worker) in enumerate(sorted(described.items())):
            roles["worker-{}".format(index)] = worker["pid"]
            event_loops[str(worker["pid"])] = dict(worker["event_loop"], address=address)
        ready = {"pids": list(roles.values()), "roles": roles, "event_loops": event_loops,
                 "driver": os.getpid(), "scheduler_address": client.scheduler.address}
        run(options, ready, lambda: measure(client, sorted(described), options))
        client.shutdown()
    finally:
        logging.disable(logging.CRITICAL)  # the client would mourn the cluster
        cluster.end()


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
    os._exit(status)  # does not wait for the client's threads
