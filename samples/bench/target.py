"""What the benchmarks share: a target that does one stretch of work when told, and gilscope attached to it."""
import json
import os
import re
import signal
import subprocess
import sys
import time

LOOP = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "loop.py")


class Target:
    """samples/loop.py, which does one stretch of work for each line `go`."""

    def __init__(self, python, seconds, threads=0, *options):
        command = [python, LOOP, "--handshake", "--json", "--seconds", str(seconds), "--threads", str(threads), *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wait_for("ready")
        self.pid = self.process.pid

    def wait_for(self, word):
        result = None
        for line in self.process.stdout:
            if line.startswith(word):
                return result
            if line.startswith("{"):
                result = json.loads(line)
        sys.exit("the target ended early")

    def nanos_per_cycle(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.wait_for("done")["ns_per_cycle"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Recorder:
    """gilscope attach, from the moment at which all probes are in place."""

    def __init__(self, gilscope, pid, trace, *options):
        command = [gilscope, "attach", "-p", str(pid), "-o", trace, "--force", *options]
        began = time.monotonic()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.attach_s = time.monotonic() - began
        if not line.startswith("recording"):
            sys.exit(line or "gilscope ended early")
        self.trace = trace

    def cpu_s(self):
        """Processor time that it has used so far."""
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self):
        """The most memory that it has had so far."""
        with open("/proc/%d/status" % self.process.pid) as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1024

    def stop(self):
        """Ends it; gives what its summary says."""
        self.process.send_signal(signal.SIGINT)
        rest = self.process.stderr.read()
        if self.process.wait() != 0:
            sys.exit(rest)

        def number(pattern):
            return int(re.search(r"([\d,]+) " + pattern, rest).group(1).replace(",", ""))

        events = number("events in")
        return {
            "events": events,
            "acquisitions": number("acquisitions"),
            "unpaired": number("unpaired"),
            "lost": number("records lost"),
            "bytes_per_event": os.path.getsize(self.trace) / events,
        }
