#!/usr/bin/env python3
"""Whether anything is lost while a thread gives the GIL away and takes it back as fast as it can, the recorder on the other
processor: 30 seconds, with the memory of the recorder at several moments. Then the same with a send and a receive in each cycle.
"""
import argparse
import tempfile

from target import Recorder, Target


def measure(options, *what):
    """Records one target in three stretches of work; gives the summary, with memory and processor time of the recorder."""
    target = Target(options.python, options.seconds / 3, 0, *what)
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(options.gilscope, target.pid, folder + "/trace.gilscope")
        memory = []
        for _ in range(3):
            target.nanos_per_cycle()
            memory.append(recorder.peak_mb())
        cpu = recorder.cpu_s()
        found = recorder.stop()
    target.close()
    return dict(found, memory=memory, cpu=cpu)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gilscope", default="target/release/gilscope")
    parser.add_argument("--python", default="python3", help="the interpreter of the target")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()

    for name, what in (("the GIL alone", ()), ("with a send and a receive in each cycle", ("--sockets",))):
        found = measure(options, *what)
        print(name)
        print("  %(acquisitions)d acquisitions, %(unpaired)d unpaired, %(lost)d lost in %(seconds).0f s" % dict(found, seconds=options.seconds))
        print("  %.0f events a second, %.2f bytes an event" % (found["events"] / options.seconds, found["bytes_per_event"]))
        print("  memory of the recorder after each third: " + ", ".join("%.0f MB" % peak for peak in found["memory"]))
        print("  processor time of the recorder: %.0f %% of one" % (100 * found["cpu"] / options.seconds))


if __name__ == "__main__":
    main()
