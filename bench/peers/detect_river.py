"""What river's detectors say of streams: reads a JSON array of cases from standard input, each with the file of its
numbers (float64, little-endian), the detector and its parameters; prints for each the places of its drifts, and the
seconds of all.

Usage: detect_river.py < cases.json
"""

import array
import json
import sys
import time

from river import drift


def detector(spec):
    name = spec["detector"]
    if name == "adwin":
        return drift.ADWIN(delta=spec["delta"])
    if name == "ddm":
        return drift.binary.DDM(warning_threshold=spec["warning"], drift_threshold=spec["drift"])
    return drift.PageHinkley(delta=spec["delta"], threshold=spec["threshold"], mode="up")


answers = []
seconds = 0.0
for case in json.load(sys.stdin):
    numbers = array.array("d")
    with open(case["file"], "rb") as file:
        numbers.frombytes(file.read())
    if sys.byteorder != "little":
        numbers.byteswap()
    found = detector(case["spec"])
    drifts = []
    start = time.perf_counter()
    for place, number in enumerate(numbers):
        found.update(number)
        if found.drift_detected:
            drifts.append(place)
    seconds += time.perf_counter() - start
    answers.append(drifts)
print(json.dumps({"answers": answers, "seconds": seconds}))
