"""Perfetto's trace, read with the protos of the perfetto package and replayed as trace_processor does."""
import collections
import json
import sys

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import BUILTIN_CLOCK_MONOTONIC, BUILTIN_CLOCK_REALTIME, Trace, TrackEvent

figures = json.load(open(sys.argv[2]))
trace = Trace()
trace.ParseFromString(open(sys.argv[1], "rb").read())


def unknown(message):
    """Fields that the package does not know would be misspelt tags."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    return len(UnknownFieldSet(message))


first = trace.packet[0]
clocks = {clock.clock_id: clock.timestamp for clock in first.clock_snapshot.clocks}
assert clocks[BUILTIN_CLOCK_MONOTONIC] == figures["start"]
assert clocks[BUILTIN_CLOCK_REALTIME] == figures["start"] + figures["utc_offset"]
assert first.clock_snapshot.primary_trace_clock == BUILTIN_CLOCK_MONOTONIC
assert first.trace_packet_defaults.timestamp_clock_id == BUILTIN_CLOCK_MONOTONIC
assert first.sequence_flags & 1 and all(packet.sequence_flags == 2 for packet in trace.packet[1:])

tracks, names = {}, collections.defaultdict(dict)
events, samples = [], 0
for packet in trace.packet:
    assert not unknown(packet), packet
    data = packet.interned_data
    for field in ("event_names", "event_categories", "debug_annotation_names", "function_names", "frames", "callstacks"):
        for entry in getattr(data, field):
            assert not unknown(entry) and entry.iid not in names[field], "interned once"
            names[field][entry.iid] = entry
    if packet.HasField("track_descriptor"):
        track = packet.track_descriptor
        assert not unknown(track) and track.uuid not in tracks
        assert not track.HasField("parent_uuid") or track.parent_uuid in tracks
        tracks[track.uuid] = track
    elif packet.HasField("track_event"):
        event = packet.track_event
        assert not unknown(event) and event.track_uuid in tracks
        for annotation in event.debug_annotations:
            assert not unknown(annotation) and annotation.name_iid in names["debug_annotation_names"]
        events.append((packet.timestamp, event))
    elif packet.HasField("perf_sample"):
        samples += 1
        frames = [names["frames"][frame] for frame in names["callstacks"][packet.perf_sample.callstack_iid].frame_ids]
        functions = [names["function_names"][frame.function_name_id].str.decode() for frame in frames]
        if figures["drawn"]:
            assert functions[0] == "<module> (app.py:3)" and functions[-1].startswith("spin (app.py:1"), functions
assert samples == figures["samples"]

# The order of those at the same time is that of the file.
events.sort(key=lambda event: event[0])
slices, flow_ends, open_slices, counts = [], [], collections.defaultdict(list), collections.defaultdict(list)
for time, event in events:
    stack = open_slices[event.track_uuid]
    if event.type == TrackEvent.TYPE_SLICE_BEGIN:
        stack.append((time, names["event_names"][event.name_iid].name, event))
    elif event.type == TrackEvent.TYPE_SLICE_END:
        start, name, begin = stack.pop()
        slices.append((event.track_uuid, start, time, name, begin))
    elif event.type == TrackEvent.TYPE_INSTANT:
        flow_ends.append((event.track_uuid, time, names["event_names"][event.name_iid].name, event))
    elif event.type == TrackEvent.TYPE_COUNTER:
        counts[event.track_uuid].append(event.counter_value)
assert not any(open_slices.values()), "every slice ends"

waiting, holding, owned = (collections.Counter() for _ in range(3))
flows, holds = {}, collections.defaultdict(list)
ends = {}
for uuid, start, end, name, event in sorted(slices, key=lambda slice: slice[1]):
    track = tracks[uuid]
    if track.HasField("thread"):
        if name == "waiting for the GIL":
            waiting[str(track.thread.tid)] += end - start
            for flow in event.flow_ids:
                assert flow not in flows
                flows[flow] = (track.thread.thread_name, start, end)
        elif name == "holding the GIL":
            holding[str(track.thread.tid)] += end - start
            holds[uuid].append((start, end))
    else:
        assert start >= ends.get(uuid, start), "owners do not overlap"
        ends[uuid] = end
        owned[track.name] += end - start

for tid, states in figures["threads"].items():
    # A thread ID that came back is told apart.
    own = lambda sums: sum(ns for other, ns in sums.items() if int(other) % 2**22 == int(tid))
    assert own(waiting) == states.get("waiting", 0), tid
    assert own(holding) == states.get("holding", 0) + states.get("descheduled", 0), tid
assert owned == {f"owner of {gil}": ns for gil, ns in figures["gils"].items()}
assert sum(1 for slice in slices if slice[3] == "waiting for the GIL") == figures["stalls"]
# Each flow leads from a stall into a hold of another thread, on that thread's own track.
for uuid, time, name, event in flow_ends:
    [flow] = event.flow_ids
    waiter, start, end = flows.pop(flow)
    assert name == f"stalls {waiter}" and start <= time < end
    assert tracks[uuid].HasField("thread") and any(start <= time < end for start, end in holds[uuid])
assert not flows, "every flow ends"
counters = {tracks[uuid].name: values for uuid, values in counts.items()}
assert all(abs(b - a) == 1 for values in counters.values() for a, b in zip([0] + values, values))
if figures["drawn"]:
    assert flow_ends and any("waiting for" in name for name in counters)
    assert any(name == "sendto" for _, _, _, name, _ in slices)
