#!/usr/bin/env python3
"""What sampling Python stacks costs the target: its throughput with and without, in pairs, the order changing from pair to pair.

The target computes in one thread beside a thread that sends and receives, so that there is a holder to look at and a waiter.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from target import Recorder

WORK = r"""
import json, socket, sys, threading, time

def units(until):
    done = 0
    while time.perf_counter() < until:
        total = 0
        for number in range(2000):
            total += number * number
        done += 1
    return done

def exchange(ours, theirs):
    while True:
        ours.send(b"x")
        theirs.recv(1)
        time.sleep(0.002)

threading.Thread(target=exchange, args=socket.socketpair(), name="io", daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    began = time.process_time()
    count = units(time.perf_counter() + float(line))
    print(json.dumps({"units": count, "cpu_s": time.process_time() - began}), flush=True)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gilscope", default="target/release/gilscope")
    parser.add_argument("--python", default="python3", help="the interpreter of the target")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()

    target = subprocess.Popen([options.python, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if target.stdout.readline().strip() != "ready":
        sys.exit("the target ended early")

    def measure(trace, *words):
        recorder = Recorder(options.gilscope, target.pid, trace, *words)
        # The first look into the process is not part of the rate.
        time.sleep(0.3)
        cpu, began = recorder.cpu_s(), time.monotonic()
        target.stdin.write("%f\n" % options.seconds)
        target.stdin.flush()
        work = json.loads(target.stdout.readline())
        cpu = (recorder.cpu_s() - cpu) / (time.monotonic() - began)
        recorder.stop()
        return work["units"] / options.seconds, work["units"] / work["cpu_s"], cpu

    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace.gilscope")
        wall, cpu, shares = [], [], {"with": [], "without": []}
        for pair in range(options.pairs):
            found = {}
            order = ["with", "without"] if pair % 2 else ["without", "with"]
            for which in order:
                found[which] = measure(trace, *(["--stacks"] if which == "with" else ["--no-stacks"]))
                shares[which].append(found[which][2])
            wall.append(found["with"][0] / found["without"][0])
            cpu.append(found["with"][1] / found["without"][1])
    target.stdin.close()
    target.wait()

    def spread(ratios):
        low, middle, high = statistics.quantiles(ratios, n=4)
        return "median %.3f, quartiles %.3f to %.3f" % (middle, low, high)

    print("throughput with stacks / without, %d pairs: %s" % (options.pairs, spread(wall)))
    print("the same by processor time of the target: %s" % spread(cpu))
    for which in ("without", "with"):
        print("recorder %s stacks: %.1f %% of a processor (median)" % (which, 100 * statistics.median(shares[which])))


if __name__ == "__main__":
    main()
