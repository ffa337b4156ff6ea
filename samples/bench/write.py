#!/usr/bin/env python3
"""Runs all benchmarks and writes docs/benchmarks.md: each figure with its goal, the command, and what it printed, word for word.

    cargo build --release && sudo samples/bench/write.py --python PYTHON_WITH_SYMBOLS

Figures are ratios within one run wherever a machine's noise would matter. `--only NAME` repeats one section and leaves the others.
"""
import argparse
import os
import platform
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "benchmarks.md")

INTRODUCTION = """# Benchmarks

Written by `samples/bench/write.py`, which runs every program below and copies what it prints. Machines are noisy: what is compared is
compared within one run. Each section begins with the goal.
"""

# Name, goal, command. PYTHON becomes the interpreter given, whose symbols perf needs.
SECTIONS = [
    (
        "overhead",
        "What recording costs the target",
        "An uncontended release and acquisition are two probe hits. The time added to a cycle that does nothing else is at most 0.6 of what "
        "`perf record` adds with the usual four probes. With 500 threads: attached in under 2 s, and a hit within 15 % of one thread's.",
        "samples/bench/overhead.py --python PYTHON",
    ),
    (
        "lossless",
        "Nothing lost at full speed",
        "No record lost in 30 s while one thread releases and takes the GIL as fast as it can; the recorder's memory flat and under 150 MB; at "
        "most 3 bytes an event, socket calls included.",
        "samples/bench/lossless.py --python PYTHON",
    ),
    (
        "stacks",
        "What stacks cost",
        "The target's throughput with stacks is within 2 % of that without; the recorder takes under 5 % of a processor for them.",
        "samples/bench/stacks.py --python PYTHON",
    ),
    (
        "replay",
        "Reading a trace back",
        "At least 10 million events a second on one core, at most 3 bytes an event.",
        "cargo bench -q -p gilscope-trace --bench replay",
    ),
    (
        "analyse",
        "Analysis",
        "10 million events, file read included, under 1.5 s and 600 MB; at least 8 million events a second, growing linearly to 100 million.",
        "cargo bench -q -p gilscope-analysis --bench analyse -- 1 10 100",
    ),
    ("index", "The index for drawing", "50 million intervals in 0.1 s or so.", "cargo bench -q -p gilscope-analysis --bench index"),
    (
        "draw",
        "Drawing",
        "A frame's draw list and egui's own processor time with 50 million intervals in 64 lanes at 1 920 px: at most 4 ms median; 12 ms at 1 000 "
        "threads with 60 visible; hover and click under 0.1 ms.",
        "cargo bench -q -p gilscope-draw",
    ),
    (
        "viewer",
        "Opening a trace in the window",
        "10 million events: first picture in under 1 s, loaded in under 2 s; 100 million: under 20 s and 40 bytes an event.",
        "cargo bench -q -p gilscope-viewer",
    ),
]


def machine():
    with open("/proc/cpuinfo") as info:
        model = re.search(r"model name\s*: (.*)", info.read())
    return "%s, %d processors, Linux %s" % (model.group(1) if model else platform.machine(), os.cpu_count(), platform.release())


def run(command, python):
    words = [python if word == "PYTHON" else word for word in command.split()]
    began = time.monotonic()
    load = os.getloadavg()[0]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # Criterion rewrites its lines while it works; only the last words of each count.
    lines = [line.split("\r")[-1].rstrip() for line in done.stdout.splitlines()]
    noise = ("Benchmarking", "Gnuplot", "Found", "running", "test result", "  ", "change:", "Performance", "No change")
    lines = [line for line in lines if line and not (line.startswith(noise) and "thrpt" not in line and "time:" not in line and command.startswith("cargo bench -q -p gilscope-trace"))]
    if done.returncode != 0:
        sys.exit("%s\n%s" % (command, done.stdout))
    shown = command.replace("PYTHON", os.path.basename(python))
    text = "\n".join(lines)
    return "```text\n$ %s\n%s\n```\n\n%s; load of the machine when it began: %.1f; took %.0f s.\n" % (
        shown, text, machine(), load, time.monotonic() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="python3")
    parser.add_argument("--only", action="append", choices=[name for name, *_ in SECTIONS])
    options = parser.parse_args()
    try:
        with open(PAGE) as page:
            old = page.read()
    except FileNotFoundError:
        old = ""
    results = {}
    for name, *_ in SECTIONS:
        before = re.search(r"<!-- %s -->\n(.*?)<!-- end -->" % name, old, re.S)
        results[name] = before.group(1) if before else "Not measured yet.\n"
    for name, _, _, command in SECTIONS:
        if options.only and name not in options.only:
            continue
        print(name, flush=True)
        results[name] = run(command, options.python)
        parts = [INTRODUCTION]
        for section, title, goal, _ in SECTIONS:
            parts.append("## %s\n\n%s\n\n<!-- %s -->\n%s<!-- end -->\n" % (title, goal, section, results[section]))
        with open(PAGE, "w") as page:
            page.write("\n".join(parts))
    print("wrote " + PAGE)


if __name__ == "__main__":
    main()
