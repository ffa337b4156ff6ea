"""Speedscope's file: the part of its schema that a sampled profile uses, and the figures."""
import json
import sys

import jsonschema

SCHEMA = {
    "type": "object",
    "required": ["$schema", "shared", "profiles"],
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "name": {"type": "string"},
        "exporter": {"type": "string"},
        "activeProfileIndex": {"type": "integer"},
        "shared": {
            "type": "object",
            "required": ["frames"],
            "properties": {
                "frames": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "file": {"type": "string"}, "line": {"type": "integer"}, "col": {"type": "integer"}},
                        "additionalProperties": False,
                    },
                }
            },
        },
        "profiles": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "name", "unit", "startValue", "endValue", "samples", "weights"],
                "properties": {
                    "type": {"const": "sampled"},
                    "name": {"type": "string"},
                    "unit": {"enum": ["bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds"]},
                    "startValue": {"type": "number"},
                    "endValue": {"type": "number"},
                    "samples": {"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0}}},
                    "weights": {"type": "array", "items": {"type": "number", "minimum": 0}},
                },
                "additionalProperties": False,
            },
        },
    },
}

figures = json.load(open(sys.argv[2]))
file = json.load(open(sys.argv[1]))
jsonschema.validate(file, SCHEMA)
frames = file["shared"]["frames"]
blamed = sum(figures["blame"].values())
for profile in file["profiles"]:
    assert len(profile["samples"]) == len(profile["weights"])
    assert sum(profile["weights"]) == profile["endValue"]
    assert all(frame < len(frames) for sample in profile["samples"] for frame in sample)
assert file["profiles"][0]["endValue"] == blamed
assert sum(profile["endValue"] for profile in file["profiles"][1:]) == blamed
stacks = [[frames[frame]["name"] for frame in sample] for sample in file["profiles"][0]["samples"]]
assert not figures["drawn"] or ["thread spinner", "<module>", "spin"] in stacks, stacks
