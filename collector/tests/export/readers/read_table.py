"""The table of intervals, Parquet or CSV: states partition each thread's lifetime, and the figures are there."""
import json
import sys

import pandas

path, figures = sys.argv[1], json.load(open(sys.argv[2]))
if path.endswith("parquet"):
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    assert json.loads(table.schema.metadata[b"gilscope.header"])["arch"] == "x86_64"
    assert b"gilscope.header" in pyarrow.parquet.read_metadata(path).metadata
    frame = table.to_pandas()
else:
    frame = pandas.read_csv(path)

assert (frame.end_ns > frame.start_ns).all()
assert (frame.wall_start_ns - frame.start_ns == figures["utc_offset"]).all()
within = frame[frame.state == "syscall_while_holding"]
states = frame[frame.state != "syscall_while_holding"]
sums = {}
for (_, tid), rows in states.groupby(["pid", "tid"]):
    # A thread ID can come back: then there is a gap, never an overlap.
    assert (rows.start_ns.values[1:] >= rows.end_ns.values[:-1]).all()
    lengths = rows.end_ns - rows.start_ns
    sums[str(tid)] = {state: int(ns) for state, ns in lengths.groupby(rows.state.astype(str)).sum().items() if ns}
expected = {tid: {state: ns for state, ns in of.items() if ns} for tid, of in figures["threads"].items()}
assert sums == expected, (sums, expected)

waits = states[states.state == "waiting"]
assert len(waits) == figures["stalls"]
assert waits.held_ns.sum() == sum(figures["blame"].values())
assert (waits.blamed_ns.dropna() <= waits.held_ns[waits.blamed_ns.notna()]).all()
assert set(frame.thread.astype(str)) == set(figures["names"])
if figures["drawn"]:
    assert waits.convoy.astype(bool).any()
    calls = states[states.state == "syscall"]
    assert set(calls.syscall.astype(str)) == {"sendto"} and (calls.fd == 5).all()
    assert "tcp 127.0.0.1:8000 → 127.0.0.1:40000" in set(calls.descriptor.astype(str))
    assert calls.result.notna().any()
    assert states[states.start_ns == states.start_ns.min()].open_start.astype(bool).any()
    assert states.open_end.astype(bool).any()
