#!/usr/bin/env python3
"""What recording costs the target, side by side in one run, so that a noisy machine shifts all figures alike.

The target gives the GIL away and takes it back as fast as it can and does nothing else (samples/loop.py). Measured in turn,
round after round; medians count:

  bare       nobody looks
  gilscope   gilscope attach, as it comes: probes, socket calls, stacks
  perf       perf record with the usual four probes: take_gil, take_gil%return, drop_gil, drop_gil%return
  gilscope   again, with 500 more threads parked in the target, and how long it took to attach to them

perf needs an interpreter with symbols (name one with --python) and Debian's linux-perf. Everything it sets is removed.
"""
import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile

from target import Recorder, Target

PROBES = ["take_gil", "take_gil%return", "drop_gil", "drop_gil%return"]


def gilscope(options, target, folder):
    """Nanoseconds a cycle while gilscope records, seconds to attach, and its own summary."""
    recorder = Recorder(options.gilscope, target.pid, os.path.join(folder, "trace.gilscope"))
    nanos = target.nanos_per_cycle()
    return dict(recorder.stop(), nanos=nanos, attach_s=recorder.attach_s)


def interpreter_file(pid):
    """The file that holds take_gil."""
    with open("/proc/%d/maps" % pid) as maps:
        files = {line.split()[-1] for line in maps if "/" in line and "r-xp" in line}
    libraries = [file for file in files if "libpython" in file]
    return libraries[0] if libraries else os.readlink("/proc/%d/exe" % pid)


class PerfProbes:
    """The four probes as `perf probe` sets them."""

    def __init__(self, file):
        self.group = "gilbench%d" % os.getpid()
        self.events = []
        try:
            for place in PROBES:
                name = place.replace("%return", "_done")
                definition = "%s:%s=%s" % (self.group, name, place)
                subprocess.run(["perf", "probe", "-q", "-x", file, "--add", definition], check=True)
                self.events.append("%s:%s" % (self.group, name + ("__return" if "%" in place else "")))
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            sys.exit("perf cannot set its probes (an interpreter with symbols? linux-perf installed?): %s" % error)

    def measure(self, target, folder):
        command = ["perf", "record", "-q", "-o", os.path.join(folder, "perf.data"), "-p", str(target.pid)]
        for event in self.events:
            command += ["-e", event]
        ready, ready_out = os.pipe()
        control, control_out = os.pipe()
        command += ["--delay", "-1", "--control", "fd:%d,%d" % (control, ready_out)]
        recorder = subprocess.Popen(command, pass_fds=[control, ready_out], stderr=subprocess.DEVNULL)
        os.write(control_out, b"enable\n")
        os.read(ready, 16)
        nanos = target.nanos_per_cycle()
        recorder.send_signal(signal.SIGINT)
        recorder.wait()
        for descriptor in (ready, ready_out, control, control_out):
            os.close(descriptor)
        return nanos

    def close(self):
        subprocess.run(["perf", "probe", "-q", "-d", self.group + ":*"], stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gilscope", default="target/release/gilscope")
    parser.add_argument("--python", default="python3", help="the interpreter of the target")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    parser.add_argument("--no-perf", action="store_true", help="leave perf out")
    options = parser.parse_args()

    few, many = Target(options.python, options.seconds), Target(options.python, options.seconds, 500)
    perf = None if options.no_perf else PerfProbes(interpreter_file(few.pid))
    rounds = {"bare": [], "gilscope": [], "perf": [], "gilscope, 500 threads": []}
    attach, bytes_per_event, exceptions = [], [], 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(options.rounds):
                rounds["bare"].append(few.nanos_per_cycle())
                for name, target in (("gilscope", few), ("gilscope, 500 threads", many)):
                    found = gilscope(options, target, folder)
                    rounds[name].append(found["nanos"])
                    exceptions += found["unpaired"] + found["lost"]
                    bytes_per_event.append(found["bytes_per_event"])
                    if target is many:
                        attach.append(found["attach_s"])
                if perf:
                    rounds["perf"].append(perf.measure(few, folder))
    finally:
        if perf:
            perf.close()
        few.close()
        many.close()

    medians = {name: statistics.median(nanos) for name, nanos in rounds.items() if nanos}
    bare = medians["bare"]
    print("%-24s %12s %12s" % ("", "ns a cycle", "added"))
    for name, nanos in medians.items():
        print("%-24s %12.0f %12.0f" % (name, nanos, nanos - bare))
    if perf:
        print("added by gilscope / added by perf: %.2f" % ((medians["gilscope"] - bare) / (medians["perf"] - bare)))
    hit = (medians["gilscope, 500 threads"] - bare) / (medians["gilscope"] - bare)
    print("a hit with 500 threads / with one: %.2f" % hit)
    print("attached to 500 threads in %.2f s (median)" % statistics.median(attach))
    print("bytes an event: %.2f (median); unpaired and lost, all rounds: %d" % (statistics.median(bytes_per_event), exceptions))


if __name__ == "__main__":
    main()
