#!/usr/bin/env python3
"""Runs every sample briefly, with its handshake, and checks what it promises: its lines, its end, nothing left behind;
and that it says what is missing where something is.

    python3 check.py [--python INTERPRETER] [--require-all] [NAME...]

One line for each: ok with its result, skipped with what is missing here, or FAILED. Exit status 1 if one failed, or, with
--require-all, was skipped. A machine's speed is no matter: the results' figures are shown, not judged.
"""
import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = {
    "a": ["a_asyncio.py", "--threads", "1"],
    "a-idle": ["a_asyncio.py", "--threads", "0", "--clients", "10"],
    "b-sockets": ["b_messaging.py", "--server", "sockets"],
    "b-nonblocking": ["b_messaging.py", "--server", "nonblocking"],
    "b-multiprocessing": ["b_messaging.py", "--server", "multiprocessing"],
    "b-pyzmq": ["b_messaging.py", "--server", "pyzmq"],
    "b-c-zmq": ["b_messaging.py", "--server", "c-zmq"],
    "b-eventloop": ["b_eventloop.py"],
    "c-ensure": ["c_foreign.py", "--mode", "ensure"],
    "c-keep": ["c_foreign.py", "--mode", "keep", "--threads", "2", "--spinners", "1"],
    "d-threads": ["d_around.py", "--mode", "threads"],
    "d-processes": ["d_around.py", "--mode", "processes"],
    "d-subinterpreters": ["d_around.py", "--mode", "subinterpreters"],
    "d-legacy": ["d_around.py", "--mode", "legacy-subinterpreters"],
    "e-sequence": ["e_files.py", "--how", "sequence"],
    "e-threads": ["e_files.py", "--how", "threads"],
    "e-pool": ["e_files.py", "--how", "pool"],
    "f": ["f_dask.py"],
    "loop": ["loop.py", "--threads", "20"],
}
# Runs that lack something, and words that the one sentence they say must have. Without site-packages (-S) there is no package.
BAD_INPUT = {
    "no-compiler-b": (["b_messaging.py", "--server", "c-zmq"], ["needs a C compiler", "apt-get install"]),
    "no-compiler-c": (["c_foreign.py"], ["needs a C compiler", "apt-get install"]),
    "no-package-b": (["-S", "b_messaging.py", "--server", "pyzmq"], ["needs the package pyzmq", "pip install"]),
    "no-package-f": (["-S", "f_dask.py"], ["needs the package distributed", "pip install"]),
    "port-taken-a": (["a_asyncio.py", "--port", "TAKEN"], ["TAKEN", "in use", "leave --port out"]),
    "port-taken-b": (["b_messaging.py", "--port", "TAKEN"], ["TAKEN", "in use", "leave --port out"]),
    "port-taken-e": (["e_files.py", "--port", "TAKEN"], ["TAKEN", "in use", "leave --port out"]),
    "port-taken-f": (["f_dask.py", "--port", "TAKEN"], ["TAKEN", "in use", "leave --port out"]),
}
SAMPLES.update(("holder-" + which, ["holders/holders.py", "--which", which])
               for which in ("pydll", "re", "json", "pickle", "sorted", "numpy"))


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def expect(truth, what):
    if not truth:
        raise Failed(what)


def is_running(pid):
    """A dead child that its new parent has not yet reaped does not count."""
    try:
        with open("/proc/{}/stat".format(pid)) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def all_gone(pids):
    """What was killed may take a moment to die."""
    until = time.monotonic() + 5
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(is_running, pids))


def check_sample(python, arguments, end):
    """Runs a sample twice over, then ends it with `exit`, or in the midst of its work with a signal."""
    command = [python, os.path.join(HERE, arguments[0])] + arguments[1:] + ["--handshake", "--json", "--seconds"]
    process = subprocess.Popen(command + ["0.3" if end is None else "20"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    try:
        line = process.stdout.readline()
        if not line:
            said = process.communicate()[1].strip()
            raise (Skipped if process.returncode == 1 and "needs" in said else Failed)(said)
        expect(line.startswith("ready {"), "not ready but: " + line)
        ready = json.loads(line[6:])
        pids = set(ready["pids"]) | set(ready["roles"].values())
        expect(all(map(is_running, pids)), "not all processes run")
        result = None
        for _ in range(2 if end is None else 0):
            process.stdin.write("go\n")
            process.stdin.flush()
            result = json.loads(process.stdout.readline())
            expect(process.stdout.readline() == "done\n", "it was not done")
        if end is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
            process.send_signal(end)
        out, error = process.communicate("exit\n" if end is None else None, timeout=30)
        wanted = (0,) if end is None else (128 + end, -end)
        expect(process.returncode in wanted, "exit status {}".format(process.returncode))
        expect(not out and not error, "it also said: " + out + error)
        expect(all_gone(pids), "it left processes behind")
        return result
    finally:
        process.kill()
        process.wait()


def check_bad_input(python, arguments, words):
    """Runs a sample that cannot work here: it must say in a sentence what is missing, and end."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [os.path.join(HERE, word) if word.endswith(".py") else word.replace("TAKEN", port)
                   for word in arguments]
        # No PATH: no compiler.
        environment = {name: value for name, value in os.environ.items() if name not in ("CC", "PATH")}
        ended = subprocess.run([python] + command + ["--seconds", "0.1"], stdin=subprocess.DEVNULL, timeout=60,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                               env=dict(environment, PATH="/nonexistent"))
    said = ended.stderr.strip()
    if arguments[-1] == "TAKEN" and "needs the package" in said:
        raise Skipped(said)
    expect(ended.returncode == 1, "exit status {}: {}".format(ended.returncode, said))
    expect("Traceback" not in said and said.count("\n") == 0, "not a sentence: " + said)
    for word in words:
        expect(word.replace("TAKEN", port) in said, "it does not say {!r}: {}".format(word, said))
    return said


def check_puppet(python):
    process = subprocess.Popen([python, os.path.join(HERE, "puppet.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    answers = iter(process.stdout.readline, b"")

    def ask(**command):
        process.stdin.write(json.dumps(command).encode() + b"\n")
        process.stdin.flush()
        return json.loads(next(answers).decode())

    try:
        expect(json.loads(next(answers).decode())["ready"], "not ready")
        for name in ("io", "cpu"):
            expect(ask(cmd="thread", name=name)["tid"], "no thread")
        expect(ask(cmd="sends", n=250, thread="io")["recvs"] == 3, "sends")
        expect(ask(cmd="reads", n=1000)["reads"] == 1000, "reads")
        expect(ask(cmd="handovers", n=100)["handovers"] == 100, "handovers")
        expect("error" in ask(cmd="handovers", n=3), "an odd number of hand-overs")
        ask(cmd="spin", thread="cpu", on=True)
        expect(ask(cmd="echoes", n=5, thread="io")["echoes"] == 5, "echoes")
        expect(ask(cmd="spin", thread="cpu", on=False)["cycles"] > 0, "spin")
        spans = ask(cmd="hold", spans_us=[1000, 5000])["spans"]
        expect([end - start >= us * 1000 for (start, end), us in zip(spans, (1000, 5000))] == [True, True], "hold")
        expect(ask(cmd="alternate", rounds=1)["function"] == "hold_lines", "alternate")
        for how in ("lock", "queue", "sleep", "join"):
            expect(ask(cmd="park", how=how, ms=5)["function"] == "park_in_" + how, "park")
        for start in ("fork", "spawn"):
            child = ask(cmd=start)["child"]
            answer = ask(cmd="child", pid=child, do={"cmd": "sends", "n": 7})["answer"]
            expect(answer.get("sends") == 7, start)
            expect(ask(cmd="reap", pid=child)["status"] == 0, "reap")
        expect(len(ask(cmd="foreign", n=3, reads=5)["tids"]) == 3, "foreign")
        for own_gil in (False, True):
            if "error" not in ask(cmd="subinterp", n=2, own_gil=own_gil):
                expect(ask(cmd="subwork", reads=10)["done"] == 2, "subwork")
                ask(cmd="subinterp", n=0)
        ask(cmd="ticker", on=True)
        ask(cmd="quiet")
        expect("longest_pause_ns" in ask(cmd="ticker", on=False), "ticker")
        expect(ask(cmd="threads", n=20)["n"] == 20, "threads")
        expect("exec" in ask(cmd="exec"), "exec")
        expect(json.loads(next(answers).decode())["pid"] == process.pid, "exec")
        expect(ask(cmd="exit")["bye"] and process.wait(10) == 0, "exit")
        return "every command"
    finally:
        process.kill()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (all): puppet, " + ", ".join([*SAMPLES, *BAD_INPUT]))
    parser.add_argument("--python", default=sys.executable, help="the interpreter (this one)")
    parser.add_argument("--require-all", action="store_true", help="what is missing here is a failure")
    options = parser.parse_args()
    unknown = set(options.names) - set(SAMPLES) - set(BAD_INPUT) - {"puppet"}
    if unknown:
        parser.error("there is no " + ", ".join(sorted(unknown)))

    bad = False
    for name in options.names or ["puppet"] + list(SAMPLES) + list(BAD_INPUT):
        try:
            if name == "puppet":
                said = check_puppet(options.python)
            elif name in BAD_INPUT:
                said = check_bad_input(options.python, *BAD_INPUT[name])
            else:
                said = json.dumps(check_sample(options.python, SAMPLES[name], None))
                for end in (signal.SIGTERM, signal.SIGINT):
                    check_sample(options.python, SAMPLES[name], end)
            print("ok       {:18} {}".format(name, said), flush=True)
        except Skipped as reason:
            print("skipped  {:18} {}".format(name, reason), flush=True)
            bad = bad or options.require_all
        except (Failed, ValueError, KeyError, StopIteration, subprocess.TimeoutExpired) as reason:
            print("FAILED   {:18} {}: {}".format(name, type(reason).__name__, reason), flush=True)
            bad = True
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
