"""Result lines of one data set: medians over the rounds, and queries/s at a wanted recall."""

import glob
import json
import math
import os
import statistics

from environment import RESULTS


def read_lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(text) for text in file if text.startswith("{")]


class Results:
    def __init__(self, data_name):
        self.lines = []
        for path in sorted(glob.glob(os.path.join(RESULTS, data_name, "*.jsonl"))):
            self.lines += read_lines(path)

    def names(self):
        """All contestants, ours first."""
        return sorted(
            {line["peer"] for line in self.lines}, key=lambda name: (not name.startswith("roost"), name)
        )

    def threads(self):
        return sorted({line["threads"] for line in self.lines if "recall10" in line})

    def about(self, name):
        """What is known of the index: the first value of each figure that is not nought."""
        found = {}
        for line in self.lines:
            if line["peer"] == name and "recall10" not in line:
                found.update({key: value for key, value in line.items() if value and key not in found})
        return found

    def points(self, name, threads):
        """Operating points by the search parameter, each figure the median of the rounds, by recall."""
        by_parameter = {}
        for line in self.lines:
            if line["peer"] == name and line.get("threads") == threads and "recall10" in line:
                by_parameter.setdefault(str(line["param"]), []).append(line)
        made = []
        for lines in by_parameter.values():
            point = {}
            for key in (
                "recall10",
                "qps",
                "mean_us",
                "p50_us",
                "p99_us",
                "cpu_us",
                "ios_per_query",
                "heap_bytes",
            ):
                values = [line[key] for line in lines if key in line]
                if values:
                    point[key] = statistics.median(values)
            made.append(point)
        return sorted(made, key=lambda point: (point["recall10"], point["qps"]))

    def frontier(self, name, threads):
        """The points that no other beats in both recall and queries/s, by recall."""
        kept = []
        for point in reversed(self.points(name, threads)):
            if not kept or point["qps"] > kept[-1]["qps"]:
                kept.append(point)
        return kept[::-1]

    def at(self, name, threads, recall, key="qps"):
        """A figure at this recall, between two points of the frontier by its logarithm; None if no point
        reaches it. Below the lowest point the figure of that one holds: it does more than was asked."""
        points = [point for point in self.frontier(name, threads) if key in point]
        for before, after in zip([None, *points], points):
            if after["recall10"] < recall:
                continue
            if before is None or min(before[key], after[key]) <= 0:
                return after[key]
            part = (recall - before["recall10"]) / (after["recall10"] - before["recall10"])
            return math.exp((1 - part) * math.log(before[key]) + part * math.log(after[key]))
        return None

    def recall_max(self, name, threads):
        return max((point["recall10"] for point in self.points(name, threads)), default=0.0)
