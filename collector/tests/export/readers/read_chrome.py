"""Chrome's trace events: the schema of the format's description, nesting, flows, and the figures."""
import collections
import json
import sys

import jsonschema

number, text = {"type": "number"}, {"type": "string"}
common = {"name": text, "ph": text, "pid": {"type": "integer"}, "tid": {"type": "integer"}, "ts": number, "cat": text, "args": {"type": "object"}}


def phase(ph, required, **properties):
    return {
        "properties": {**common, "ph": {"const": ph}, **properties},
        "required": ["name", "ph", "pid", "tid", "ts", *required],
        "additionalProperties": False,
    }


SCHEMA = {
    "type": "object",
    "required": ["traceEvents"],
    "properties": {
        "displayTimeUnit": {"enum": ["ms", "ns"]},
        "otherData": {"type": "object"},
        "traceEvents": {
            "type": "array",
            "items": {
                "oneOf": [
                    phase("X", ["dur", "cat"], dur={"type": "number", "exclusiveMinimum": 0}),
                    phase("M", ["args"]),
                    phase("C", ["args"]),
                    phase("i", ["s"], s={"enum": ["t", "p", "g"]}),
                    phase("s", ["id", "cat"], id={"type": "integer"}),
                    phase("f", ["id", "cat", "bp"], id={"type": "integer"}, bp={"const": "e"}),
                ]
            },
        },
    },
}

figures = json.load(open(sys.argv[2]))
trace = json.load(open(sys.argv[1]))
jsonschema.validate(trace, SCHEMA)
events = trace["traceEvents"]
nanos = lambda micros: round(micros * 1000)

waiting, slices, owners, holds = collections.Counter(), collections.defaultdict(list), collections.Counter(), collections.Counter()
threads = {(event["pid"], event["tid"]): event["args"]["name"] for event in events if event["name"] == "thread_name"}
for event in events:
    if event["ph"] != "X":
        continue
    key = (event["pid"], event["tid"])
    start, length = nanos(event["ts"]), nanos(event["dur"])
    slices[key].append((start, -length, event["name"]))
    if event["name"] == "waiting for the GIL":
        waiting[event["tid"] % 2**22] += length
    if event["cat"] == "owner":
        owners[threads[key]] += length
    if event["cat"] == "holding":
        holds[event["tid"] % 2**22] += length
for tid, states in figures["threads"].items():
    assert waiting[int(tid)] == states.get("waiting", 0)
    assert holds[int(tid)] == states.get("holding", 0) + states.get("descheduled", 0)
assert owners == {f"owner of {gil}": ns for gil, ns in figures["gils"].items()}
for row in slices.values():
    stack = []
    for start, length, _ in sorted(row):
        end = start - length
        while stack and stack[-1] <= start:
            stack.pop()
        assert not stack or end <= stack[-1], "slices nest"
        stack.append(end)

at = lambda event: any(
    start <= nanos(event["ts"]) < start - length for start, length, _ in slices[(event["pid"], event["tid"])]
)
flows = collections.defaultdict(dict)
for event in events:
    if event["ph"] in "sf":
        assert at(event), "a flow begins and ends in slices"
        assert event["ph"] not in flows[event["id"]]
        flows[event["id"]][event["ph"]] = event["ts"]
assert all(set(flow) == {"s", "f"} and flow["s"] <= flow["f"] for flow in flows.values())
assert sum(event["ph"] == "i" for event in events) == figures["samples"]
if figures["drawn"]:
    assert flows
    assert {event["args"]["threads"] for event in events if event["ph"] == "C"} >= {0, 1, 2}
