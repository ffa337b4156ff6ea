#!/usr/bin/env python3
"""A program whose every GIL and system-call event is known: the puppet of the live tests.

It is driven over standard input, one JSON command a line, and answers one JSON object a line on standard output. After
its start it prints one line by itself, `{"ready": true, "pid": …}`; from then on it does nothing that it was not told
to, so a test attaches between two handshakes and never sleeps. End of input, or `exit`, ends it and its children.
CPython 3.6 or newer, standard library only, Linux with glibc. Run it as `python3 puppet.py`: standard input is the
command channel, so the program itself cannot come from there.

Every command may carry `"thread": NAME`: it then runs in that worker (made with `thread`), else in MainThread, and the
puppet answers when it is done. With `"wait": false` too, it answers at once with `{"started": true}`, and
`{"cmd": "result", "thread": NAME}` waits for the answer. Answers of commands that work carry `tid` (native thread ID),
`began_ns` and `ended_ns` (CLOCK_MONOTONIC, taken right before and after the work). A command that fails answers
`{"error": "…"}` and the puppet lives on.

    info                                pid, version, executable, tids {name: native ID}, switch_interval_s, gil, sub_gils
    thread     name                     a named worker that accepts commands; answers its tid
    stop       name                     ends it
    threads    n                        parked threads parked-0 … parked-(n-1), blocked in one lock each; 0 ends them
    quiet                               nothing at all
    switch     seconds                  sys.setswitchinterval
    sends      n [kind: unix|tcp]       exactly n `send` (sendto) of 1 byte on a socket pair, blocking, never full; every
                                        100 sends and at the end one `recv` drains it, so recvs = ceil(n / 100) for unix;
                                        tcp answers how many it took. fd (sender), peer_fd
    echoes     n [bytes 100]            n times one `send` and one `recv` of that many bytes, echoed half a millisecond later by a
                                        process apart (made by the first `echoes` of a thread): beside a spinner each recv
                                        stalls for a switch interval, also on two cores. fd, echo_pid
    reads      n                        one lseek, then exactly n `os.read` of 1 byte on fd, a regular file; n <= 1048576
    handovers  n (even)                 exactly n lock hand-overs between this thread and the thread `handover`: the one
                                        releases a lock for which the other waits, then waits for its own. Each wait is
                                        one voluntary release of the GIL, which the other one then takes
    spin       on, thread               spin_python(), a busy loop that releases nothing, until on is false; cycles
    hold       spans_us [gap_us 1000]   for each span: sleep gap_us without the GIL, then hold it in C (PyDLL usleep);
                                        spans [[start_ns, end_ns], …], measured right around the C call; one more gap
                                        ends it, so that the last hold has its release
    alternate  rounds [long_us 3000, short_us 1000, gap_us 0]
                                        rounds times: hold_lines() holds the GIL long_us in C on one line, short_us on
                                        the next; each is followed by a release, where another thread may come in.
                                        function, long_line, short_line
    park       how: lock|queue|sleep|join, ms
                                        waits for ms in what is not the GIL (a lock with time-out, Queue.get, time.sleep,
                                        join of a sleeping thread `joined`), in the function park_in_NAME
    ticker     on [period_us 1000]      the thread `ticker` sleeps period_us over and over; off: longest_pause_ns (over
                                        the period), ticks
    fork                                a child process that is itself a puppet: child (PID)
    spawn      [argv]                   a child interpreter: another puppet (no argv), or this interpreter with argv and a
                                        pipe as standard input: child (PID)
    child      pid, do: {command}       passes a command on to a child puppet, answers its answer in `answer`
    reap       pid                      closes its standard input, waits for it: status (exit code, or -signal)
    exec       [argv]                   answers {"exec": [...]}, then replaces itself by this interpreter with argv; without
                                        argv by this puppet, which says `ready` again
    subinterp  n [own_gil true]         n sub-interpreters (0 ends them), each in a thread subinterp-I of this process, and
                                        each with a GIL of its own if own_gil (3.12+; else an error); tids
    subwork    reads                    in each sub-interpreter at once: exactly that many os.read of 1 byte on a file of its
                                        own, 2000 turns of a loop before each; fds, done
    foreign    n [reads 0]              n threads one after another made by pthread_create, not by Python; each calls into
                                        Python once (PyGILState_Ensure … Release), makes `reads` os.read there, and ends; tids
    exit                                answers {"bye": true} and ends

What a command costs in acquisitions of the GIL, counted by probes on 3.11 over all threads: quiet 2 (the answer's write,
the next command's read), sends n + 2, one more for each recv in the middle; reads n + 3 (lseek); handovers n + 4 (its
thread starts and ends); hold 2 for k spans and k + 1 gaps: k + 3.
"""
import ctypes
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings

# ctypes imports these lazily; here they must not happen between two handshakes.
LIBC = ctypes.CDLL(None, use_errno=True)  # calls release the GIL
HOLDING = ctypes.PyDLL(None)  # calls keep it
HOLDING.usleep.argtypes = [ctypes.c_uint]
START_ROUTINE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
LIBC.pthread_create.argtypes = [ctypes.POINTER(ctypes.c_ulong), ctypes.c_void_p, START_ROUTINE, ctypes.c_void_p]
LIBC.pthread_join.argtypes = [ctypes.c_ulong, ctypes.c_void_p]

SENDS_PER_DRAIN = 100  # a UNIX socket's default buffer takes about 278 sends of one byte
FILE_BYTES = 1 << 20
FILE = tempfile.TemporaryFile()
FILE.truncate(FILE_BYTES)


def now_ns():
    """CLOCK_MONOTONIC in nanoseconds; before 3.7 with the precision of a float."""
    return time.monotonic_ns() if hasattr(time, "monotonic_ns") else int(time.monotonic() * 1e9)


def native_id():
    if hasattr(threading, "get_native_id"):
        return threading.get_native_id()
    return HOLDING.syscall(186 if os.uname().machine == "x86_64" else 178)  # gettid


TIDS = {"MainThread": native_id()}
WORKERS = {}
CHILDREN = {}
PAIRS = {}
PARKED = []
SPINNING = {}
SUBINTERPS = []
TICKER = []


def start_thread(name, body):
    """Starts a daemon thread and returns when it runs and is listed in TIDS."""
    running = threading.Lock()
    running.acquire()

    def main():
        TIDS[name] = native_id()
        running.release()
        try:
            body()
        finally:
            TIDS.pop(name, None)

    thread = threading.Thread(target=main, name=name, daemon=True)
    thread.start()
    running.acquire()
    return thread


class Worker:
    """A thread that runs one command at a time, with two locks for a queue: as few hand-overs as can be."""

    def __init__(self, name):
        self.todo, self.done = threading.Lock(), threading.Lock()
        self.todo.acquire()
        self.done.acquire()
        self.command = self.answer = None
        self.busy = False
        self.thread = start_thread(name, self.run)

    def run(self):
        while True:
            self.todo.acquire()
            if self.command is None:
                return
            self.answer = perform(self.command)
            self.done.release()

    def give(self, command):
        if self.busy:
            raise ValueError("the thread is still at work: ask for its result first")
        self.busy, self.command = True, command
        self.todo.release()

    def take(self):
        if not self.busy:
            raise ValueError("the thread has nothing to answer")
        self.done.acquire()
        self.busy = False
        return self.answer

    def stop(self):
        if self.busy:
            self.take()
        self.command = None
        self.todo.release()
        self.thread.join()


class Child:
    """A process with a pipe to its standard input and, if it is a puppet, from its standard output."""

    def __init__(self, pid, to_child, from_child):
        self.pid, self.to_child, self.from_child = pid, to_child, from_child
        self.buffer = b""

    def read_line(self):
        while b"\n" not in self.buffer:
            data = os.read(self.from_child, 65536)
            if not data:
                raise ValueError("child {} has gone".format(self.pid))
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line.decode())

    def ask(self, command):
        os.write(self.to_child, json.dumps(command).encode() + b"\n")
        return self.read_line()

    def reap(self):
        for fd in (self.to_child, self.from_child):
            if fd is not None:
                os.close(fd)
        status = os.waitpid(self.pid, 0)[1]
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


# --- commands ---------------------------------------------------------------------------------------------------------


def timed(work):
    """Marks a command that works: its answer gets the thread's ID and the time around the work it returns."""

    def run(command):
        prepared = work(command)
        began = now_ns()
        answer = prepared()
        ended = now_ns()
        answer.update(tid=native_id(), began_ns=began, ended_ns=ended)
        return answer

    return run


def do_info(_command):
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return {"pid": os.getpid(), "version": sys.version.split()[0], "executable": sys.executable, "gil": gil,
            "tids": dict(TIDS), "switch_interval_s": sys.getswitchinterval(), "sub_gils": sys.version_info >= (3, 12)}


def do_thread(command):
    name = command["name"]
    if name in TIDS:
        raise ValueError("there is a thread {} already".format(name))
    WORKERS[name] = Worker(name)
    return {"name": name, "tid": TIDS[name]}


def do_stop(command):
    if command["name"] in SPINNING:
        raise ValueError("the thread spins: turn that off first")
    WORKERS.pop(command["name"]).stop()
    return {"stopped": command["name"]}


def do_threads(command):
    for _thread, lock in PARKED:
        lock.release()
    for thread, _lock in PARKED:
        thread.join()
    del PARKED[:]
    threading.stack_size(256 * 1024)
    for index in range(command["n"]):
        lock = threading.Lock()
        lock.acquire()
        PARKED.append((start_thread("parked-{}".format(index), lock.acquire), lock))
    threading.stack_size(0)
    return {"n": len(PARKED)}


def do_quiet(_command):
    return {"quiet": True}


def do_switch(command):
    sys.setswitchinterval(command["seconds"])
    return {"switch_interval_s": sys.getswitchinterval()}


def socket_pair(kind):
    if kind == "unix":
        return socket.socketpair()
    if kind != "tcp":
        raise ValueError("kind is unix or tcp, not {}".format(kind))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        sender = socket.create_connection(listener.getsockname())
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sender, listener.accept()[0]


@timed
def do_sends(command):
    kind, count = command.get("kind", "unix"), command["n"]
    key = kind, threading.get_ident()
    if key not in PAIRS:
        PAIRS[key] = socket_pair(kind)
    sender, receiver = PAIRS[key]

    def work():
        left, recvs = count, 0
        while left:
            batch = min(left, SENDS_PER_DRAIN)
            left -= batch
            for _ in range(batch):
                sender.send(b"x")
            while batch:
                batch -= len(receiver.recv(4096))
                recvs += 1
        return {"sends": count, "recvs": recvs, "fd": sender.fileno(), "peer_fd": receiver.fileno()}

    return work


# The pause gives another thread of the puppet time to take the GIL while it waits for the echo.
ECHO_SCRIPT = """
import os, time
while True:
    data = os.read(0, 65536)
    if not data:
        break
    time.sleep(0.0005)
    os.write(1, data)
"""


@timed
def do_echoes(command):
    count, payload = command["n"], b"x" * command.get("bytes", 100)
    key = "echo", threading.get_ident()
    if key not in PAIRS:
        ours, theirs = socket.socketpair()
        with theirs:
            echo = subprocess.Popen([sys.executable, "-S", "-c", ECHO_SCRIPT], stdin=theirs, stdout=theirs)
        CHILDREN[echo.pid] = Child(echo.pid, os.dup(ours.fileno()), None)
        echo.returncode = 0  # the puppet reaps it, not Popen
        PAIRS[key] = ours, echo.pid
        ours.send(b"x")
        ours.recv(1)
    ours, echo_pid = PAIRS[key]

    def work():
        for _ in range(count):
            ours.send(payload)
            if len(ours.recv(65536)) != len(payload):
                raise ValueError("a partial echo: use fewer bytes")
        return {"echoes": count, "fd": ours.fileno(), "echo_pid": echo_pid}

    return work


@timed
def do_reads(command):
    count, fd = command["n"], FILE.fileno()
    if count > FILE_BYTES:
        raise ValueError("at most {} reads".format(FILE_BYTES))
    os.lseek(fd, 0, os.SEEK_SET)

    def work():
        for _ in range(count):
            os.read(fd, 1)
        return {"reads": count, "fd": fd}

    return work


@timed
def do_handovers(command):
    count = command["n"]
    if count % 2:
        raise ValueError("n must be even: a hand-over there, a hand-over back")
    there, here = threading.Lock(), threading.Lock()
    there.acquire()
    here.acquire()

    def peer():
        for _ in range(count // 2):
            there.acquire()
            here.release()

    thread = start_thread("handover", peer)
    peer_tid = TIDS.get("handover")

    def work():
        for _ in range(count // 2):
            there.release()
            here.acquire()
        thread.join()
        return {"handovers": count, "peer_tid": peer_tid}

    return work


def spin_python(keep_on):
    """Holds the GIL as pure Python does: until the interpreter takes it away at a switch interval."""
    cycles = 0
    while keep_on:
        cycles += 1
    return cycles


@timed
def do_spin_here(command):
    keep_on = command["keep_on"]
    return lambda: {"cycles": spin_python(keep_on), "function": "spin_python"}


def do_spin(command):
    name = command["spinner"]
    worker = WORKERS[name]
    if command["on"]:
        keep_on = [True]
        worker.give({"cmd": "_spin", "keep_on": keep_on})
        SPINNING[name] = keep_on
        return {"started": True, "tid": TIDS[name]}
    SPINNING.pop(name).clear()
    return worker.take()


def hold_gil(us):
    """Holds the GIL for a known span in C code that does not release it."""
    start = now_ns()
    HOLDING.usleep(us)
    return [start, now_ns()]


@timed
def do_hold(command):
    spans_us, gap = command["spans_us"], command.get("gap_us", 1000) / 1e6

    def work():
        spans = []
        for us in spans_us:
            time.sleep(gap)
            spans.append(hold_gil(us))
        time.sleep(gap)
        return {"spans": spans, "function": "hold_gil"}

    return work


def hold_lines(rounds, long_us, short_us, gap):
    usleep, release = HOLDING.usleep, time.sleep
    for _ in range(rounds):
        usleep(long_us)  # the long line
        release(gap)
        usleep(short_us)  # the short line
        release(gap)


@timed
def do_alternate(command):
    first = hold_lines.__code__.co_firstlineno

    def work():
        hold_lines(command["rounds"], command.get("long_us", 3000), command.get("short_us", 1000),
                   command.get("gap_us", 0) / 1e6)
        return {"function": "hold_lines", "long_line": first + 3, "short_line": first + 5}

    return work


def park_in_lock(seconds):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=seconds)


def park_in_queue(seconds):
    try:
        queue.Queue().get(timeout=seconds)
    except queue.Empty:
        pass


def park_in_sleep(seconds):
    time.sleep(seconds)


def park_in_join(seconds):
    start_thread("joined", lambda: time.sleep(seconds)).join()


PARKS = {"lock": park_in_lock, "queue": park_in_queue, "sleep": park_in_sleep, "join": park_in_join}


@timed
def do_park(command):
    park, seconds = PARKS[command["how"]], command["ms"] / 1e3

    def work():
        park(seconds)
        return {"function": park.__name__}

    return work


def do_ticker(command):
    if not command["on"]:
        thread, keep_on, seen = TICKER.pop()
        keep_on.clear()
        thread.join()
        return seen
    if TICKER:
        raise ValueError("the ticker ticks already")
    keep_on, seen = [True], {"longest_pause_ns": 0, "ticks": 0}
    period_us = command.get("period_us", 1000)

    def tick():
        before = now_ns()
        while keep_on:
            time.sleep(period_us / 1e6)
            after = now_ns()
            seen["longest_pause_ns"] = max(seen["longest_pause_ns"], after - before - period_us * 1000)
            seen["ticks"] += 1
            before = after

    TICKER.append((start_thread("ticker", tick), keep_on, seen))
    return {"started": True, "tid": TIDS["ticker"]}


def do_fork(_command):
    commands_out, commands_in = os.pipe()
    answers_out, answers_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(commands_out, 0)
        os.dup2(answers_in, 1)
        for fd in (commands_out, commands_in, answers_out, answers_in):
            os.close(fd)
        for child in CHILDREN.values():
            os.close(child.to_child)
        forget_all_but_this_thread()
        status = 1
        try:
            main()
            status = 0
        finally:
            os._exit(status)
    os.close(commands_out)
    os.close(answers_in)
    CHILDREN[pid] = Child(pid, commands_in, answers_out)
    CHILDREN[pid].read_line()
    return {"child": pid}


def forget_all_but_this_thread():
    for known in (TIDS, WORKERS, CHILDREN, PAIRS, SPINNING):
        known.clear()
    for known in (PARKED, SUBINTERPS, TICKER):
        del known[:]
    TIDS["MainThread"] = native_id()


def own_file():
    if "__file__" not in globals():
        raise ValueError("the puppet was not started from a file, so it cannot start itself: give argv")
    return [os.path.abspath(__file__)]


def do_spawn(command):
    argv = command.get("argv")
    process = subprocess.Popen([sys.executable] + (argv or own_file()), stdin=subprocess.PIPE, close_fds=True,
                               stdout=subprocess.DEVNULL if argv else subprocess.PIPE)
    process.returncode = 0  # the puppet reaps it, not Popen
    answers = None if argv else os.dup(process.stdout.fileno())
    CHILDREN[process.pid] = Child(process.pid, os.dup(process.stdin.fileno()), answers)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    if not argv:
        CHILDREN[process.pid].read_line()
    return {"child": process.pid}


def do_child(command):
    return {"answer": CHILDREN[command["pid"]].ask(command["do"])}


def do_reap(command):
    return {"status": CHILDREN.pop(command["pid"]).reap()}


def do_exec(command):
    argv = [sys.executable] + (command.get("argv") or own_file())
    answer({"exec": argv})
    os.execv(sys.executable, argv)


# A sub-interpreter's life: a byte on `todo` asks for the reads told by its number's length, end of file ends it.
SUB_SCRIPT = """
import os
os.write({ready}, b"r")
while True:
    count = os.read({todo}, 20)
    if not count:
        break
    os.lseek({file}, 0, 0)
    for _ in range(int(count)):
        for _ in range(2000):
            pass
        os.read({file}, 1)
    os.write({ready}, b"d")
"""


def make_subinterpreter(own_gil):
    """Answers two functions: one runs a script in a new sub-interpreter, one destroys that."""
    if own_gil and sys.version_info < (3, 12):
        raise ValueError("a GIL of its own needs Python 3.12, this is " + sys.version.split()[0])
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
        made = interpreters.create("isolated" if own_gil else "legacy")
    elif sys.version_info >= (3, 8):
        import _xxsubinterpreters as interpreters
        made = interpreters.create(isolated=own_gil) if sys.version_info >= (3, 9) else interpreters.create()
    else:
        raise ValueError("sub-interpreters need Python 3.8, this is " + sys.version.split()[0])

    return lambda script: interpreters.run_string(made, script), lambda: interpreters.destroy(made)


def do_subinterp(command):
    for sub in SUBINTERPS:
        os.close(sub["todo"])
        sub["thread"].join()
        sub["destroy"]()  # not in its thread: 3.11.7 dies of that
        os.close(sub["ready"])
        sub["file"].close()
    del SUBINTERPS[:]
    for index in range(command["n"]):
        run, destroy = make_subinterpreter(command.get("own_gil", True))
        todo_out, todo_in = os.pipe()
        ready_out, ready_in = os.pipe()
        file = tempfile.TemporaryFile()
        file.truncate(FILE_BYTES)
        script = SUB_SCRIPT.format(todo=todo_out, ready=ready_in, file=file.fileno())

        def body(run=run, script=script, ends=(todo_out, ready_in)):
            try:
                run(script)
            finally:
                for fd in ends:
                    os.close(fd)

        name = "subinterp-{}".format(index)
        thread = start_thread(name, body)
        tid = TIDS.get(name)
        SUBINTERPS.append({"thread": thread, "tid": tid, "todo": todo_in, "ready": ready_out, "file": file,
                           "destroy": destroy})
        if os.read(ready_out, 1) != b"r":
            raise ValueError("the sub-interpreter did not start")
    return {"tids": [sub["tid"] for sub in SUBINTERPS]}


@timed
def do_subwork(command):
    if not SUBINTERPS:
        raise ValueError("there is no sub-interpreter")

    def work():
        for sub in SUBINTERPS:
            os.write(sub["todo"], str(command["reads"]).encode())
        done = sum(os.read(sub["ready"], 1) == b"d" for sub in SUBINTERPS)
        return {"done": done, "fds": [sub["file"].fileno() for sub in SUBINTERPS]}

    return work


@timed
def do_foreign(command):
    reads, fd, tids = command.get("reads", 0), FILE.fileno(), []
    if reads:
        os.lseek(fd, 0, os.SEEK_SET)

    def call_into_python(_argument):
        tids.append(native_id())
        for _ in range(reads):
            os.read(fd, 1)
        return None

    routine = START_ROUTINE(call_into_python)

    def work():
        for _ in range(command["n"]):
            made = ctypes.c_ulong()
            if LIBC.pthread_create(ctypes.byref(made), None, routine, None) != 0:
                raise ValueError("pthread_create failed")
            LIBC.pthread_join(made, None)
        return {"tids": tids, "fd": fd}

    return work


COMMANDS = {name[3:]: function for name, function in list(globals().items()) if name.startswith("do_")}
COMMANDS["_spin"] = COMMANDS.pop("spin_here")


def perform(command):
    try:
        return COMMANDS[command["cmd"]](command)
    except KeyError as error:
        return {"error": "unknown command, thread or missing argument: {}".format(error)}
    except Exception as error:
        return {"error": "{}: {}".format(type(error).__name__, error)}


def dispatch(command):
    """Runs a command here, or in the worker it names."""
    name = command.get("thread")
    if name is None or command.get("cmd") == "spin":
        return perform(dict(command, spinner=name))
    if name not in WORKERS:
        return {"error": "there is no thread {}".format(name)}
    try:
        if command.get("cmd") == "result":
            return WORKERS[name].take()
        WORKERS[name].give(command)
        return WORKERS[name].take() if command.get("wait", True) else {"started": True}
    except ValueError as error:
        return {"error": str(error)}


def answer(message):
    os.write(1, json.dumps(message).encode() + b"\n")


def end_children():
    for child in list(CHILDREN.values()):
        try:
            os.kill(child.pid, signal.SIGKILL)
            child.reap()
        except OSError:
            pass


def main():
    answer({"ready": True, "pid": os.getpid(), "version": sys.version.split()[0], "tids": dict(TIDS)})
    buffer = b""
    while True:
        while b"\n" not in buffer:
            data = os.read(0, 65536)
            if not data:
                return
            buffer += data
        line, buffer = buffer.split(b"\n", 1)
        try:
            command = json.loads(line.decode())
            if not isinstance(command, dict):
                raise ValueError("a command is a JSON object")
        except ValueError as error:
            answer({"error": str(error)})
            continue
        if command.get("cmd") == "exit":
            answer({"bye": True})
            return
        answer(dispatch(command))


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of a fork beside threads, which is the point here
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    finally:
        end_children()
    # Threads that still spin or wait are daemons: leave without waiting for them.
    sys.stdout.flush()
    os._exit(0)
