"""A processed profile: its tables refer to each other correctly, and the figures are there."""
import collections
import json
import sys

figures = json.load(open(sys.argv[2]))
profile = json.load(open(sys.argv[1]))
meta = profile["meta"]
assert meta["preprocessedProfileVersion"] > 40 and meta["symbolicated"]
schemas = {schema["name"]: schema for schema in meta["markerSchema"]}
shared = profile.get("shared", {})


def column_lengths(table):
    return {len(column) for column in table.values() if isinstance(column, list)} - {0}


waiting, owners, samples = collections.Counter(), collections.Counter(), 0
for thread in profile["threads"]:
    strings = thread.get("stringArray") or shared["stringArray"]
    markers = thread["markers"]
    assert markers["length"] == len(markers["name"]) == len(markers["startTime"]) == len(markers["data"])
    for name, category, start, end, data in zip(
        markers["name"], markers["category"], markers["startTime"], markers["endTime"], markers["data"]
    ):
        assert 0 <= category < len(meta["categories"]) and data["type"] in schemas
        nanos = round(end * 1e6) - round(start * 1e6)
        assert nanos > 0
        if strings[name] == "waiting for the GIL":
            waiting[int(str(thread["tid"]).split(".")[0]) % 2**22] += nanos
            assert strings[data["detail"]] == "" or strings[data["detail"]].startswith("held by ")
        if thread["name"].startswith("owner of "):
            owners[thread["name"]] += nanos
    samples += thread["samples"]["length"]
    stacks, frames, functions = thread["stackTable"], thread["frameTable"], thread["funcTable"]
    for stack in filter(lambda stack: stack is not None, thread["samples"]["stack"]):
        names = []
        while stack is not None:
            names.append(strings[functions["name"][frames["func"][stacks["frame"][stack]]]])
            stack = stacks["prefix"][stack]
        assert not figures["drawn"] or names[0].startswith("spin (app.py:1") and names[-1] == "<module> (app.py:3)", names
for tid, states in figures["threads"].items():
    assert waiting[int(tid)] == states.get("waiting", 0), (tid, waiting)
assert owners == {f"owner of {gil}": ns for gil, ns in figures["gils"].items()}
assert samples == figures["samples"]
