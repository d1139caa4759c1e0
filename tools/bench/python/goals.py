"""What Roost wants to reach, beside what was measured: the first table of spec/benchmarks.md."""

import os
import statistics

from environment import RESULTS
from results import read_lines

PEER_RATIO, THREAD_RATIO, DISK_RATIO, DISK_LATENCY_RATIO, SATURATION = 2.0, 1.9, 3.0, 0.5, 0.8
BUILD_SECONDS = {200_000: 15, 1_000_000: 120}
DISK_BYTES, DISK_BYTES_COMPACT, COMPACT_RESIDENT_BYTES = 2.2 * 1024, 1024, 256 << 20
FILTERED_RECALL, DRIFT = 0.95, 0.01
START_MS, IDLE_BYTES, STRIPPED_BYTES = 300, 40e6, 40e6
GETS_PER_S, GET_US, WRITES_PER_S = 200_000, 60, 20_000


class Goals:
    def __init__(self):
        self.rows = []

    def at_least(self, what, wanted, measured, text="{:.2f}"):
        self._add(
            what, "≥ " + text.format(wanted), measured, text, measured is not None and measured >= wanted
        )

    def at_most(self, what, wanted, measured, text="{:.2f}"):
        self._add(
            what, "≤ " + text.format(wanted), measured, text, measured is not None and measured <= wanted
        )

    def _add(self, what, wanted, measured, text, reached):
        if measured is not None:
            self.rows.append([what, wanted, text.format(measured), "yes" if reached else "**no**"])

    def add_contest(self, data_name, results):
        """The rows of one data set."""
        peers = [name for name in results.names() if not name.startswith("roost")]
        memory = [name for name in peers if not name.startswith("diskannpy")]
        disk = [name for name in peers if name.startswith("diskannpy")]
        for recall in (0.95, 0.99):
            best = max((results.at(name, 1, recall) or 0 for name in memory), default=0)
            self.at_least(
                f"{data_name}: in memory, 1 thread, recall {recall}, queries/s by the best peer's",
                PEER_RATIO,
                _ratio(results.at("roost", 1, recall), best),
            )
        self.at_least(
            f"{data_name}: in memory, 2 threads by 1 thread, recall 0.95",
            THREAD_RATIO,
            _ratio(results.at("roost", 2, 0.95), results.at("roost", 1, 0.95)),
        )
        for name in (name for name in results.names() if name.startswith("roost ssd")):
            self._add_disk(data_name, results, name, disk)
        self._add_index(data_name, results)

    def _add_disk(self, data_name, results, name, disk):
        for threads in (1, 2):
            best = max((results.at(peer, threads, 0.95) or 0 for peer in disk), default=0)
            self.at_least(
                f"{data_name}: {name}, {threads} thread{'s' * (threads > 1)}, queries/s by the best diskannpy's",
                DISK_RATIO,
                _ratio(results.at(name, threads, 0.95), best),
            )
        latencies = [value for value in (results.at(peer, 1, 0.95, "mean_us") for peer in disk) if value]
        self.at_most(
            f"{data_name}: {name}, mean latency by the best diskannpy's",
            DISK_LATENCY_RATIO,
            _ratio(results.at(name, 1, 0.95, "mean_us"), min(latencies, default=0)),
        )

    def _add_index(self, data_name, results):
        about, compact = results.about("roost"), results.about("roost compact")
        count = about.get("count", 0)
        if count in BUILD_SECONDS:
            self.at_most(f"{data_name}: build, s", BUILD_SECONDS[count], about.get("build_s"), "{:.1f}")
        if about.get("dimension") == 128:
            for name, found, wanted in (
                ("default", about, DISK_BYTES),
                ("compact", compact, DISK_BYTES_COMPACT),
            ):
                bytes_each = _ratio(found.get("disk_bytes"), count)
                self.at_most(
                    f"{data_name}: disk bytes per vector, {name} layout", wanted, bytes_each, "{:,.0f}"
                )
        if count >= 1_000_000 and results.recall_max("roost compact", 1) >= 0.95:
            resident = _ratio(compact.get("rss_bytes"), 1 << 20)
            self.at_most(
                f"{data_name}: resident MiB, compact layout",
                COMPACT_RESIDENT_BYTES >> 20,
                resident,
                "{:,.0f}",
            )

    def add_rest(self):
        ring = _lines("ring")
        for depth in sorted({line["depth"] for line in ring}):
            fio, ours = (
                statistics.median(
                    line["per_second"] for line in ring if (line["peer"], line["depth"]) == (peer, depth)
                )
                for peer in ("fio", "roost")
            )
            self.at_least(f"reads/s of the ring by fio's, {depth} in flight", SATURATION, ours / fio)
        searches = [line["reads_per_s"] for line in _lines("saturation") if "reads_per_s" in line]
        top = max((line["per_second"] for line in ring if line["peer"] == "fio"), default=0)
        self.at_least(
            "reads/s of searches from disk by fio's most", SATURATION, _ratio(max(searches, default=0), top)
        )
        recalls = [line["recall10"] for line in _lines("filter") if line.get("correlation") != "unfiltered"]
        self.at_least("lowest recall under a filter", FILTERED_RECALL, min(recalls, default=None), "{:.3f}")
        drifts = [line["ahead_of_replaced"] for line in _lines("stream") if "ahead_of_replaced" in line]
        self.at_most("recall lost by replacing all twice", DRIFT, max(drifts, default=None), "{:.3f}")
        self._add_node()

    def _add_node(self):
        lines = _lines("start")
        starts = [
            line["answered_ms"]
            for line in lines
            if line["what"] == "start" and line["count"] >= 1_000_000 and line["memory"] == "default"
        ]
        if starts:
            self.at_most("cold start to the first answer, ms", START_MS, statistics.median(starts), "{:,.0f}")
        for line in lines:
            if line["what"] == "idle":
                self.at_most("idle node, resident MB", IDLE_BYTES / 1e6, line["VmRSS"] / 1e6, "{:.1f}")
        sizes = sum(line["stripped_bytes"] for line in lines if line["what"] == "size")
        self.at_most(
            "stripped with wasmtime, MB", STRIPPED_BYTES / 1e6, sizes / 1e6 if sizes else None, "{:.1f}"
        )
        gets = _lines("get")
        pipelined = max((line["gets_per_s"] for line in gets), default=None)
        self.at_least("point gets/s over loopback, pipelined", GETS_PER_S, pipelined, "{:,.0f}")
        alone = next((line["p50_us"] for line in gets if line["in_flight"] == 1), None)
        self.at_most("point get, p50 µs, one at a time", GET_US, alone, "{:.0f}")
        writes = [line["records_per_s"] for line in _lines("ingest") if line["batch"] == 100]
        self.at_least("durable writes/s, batches of 100", WRITES_PER_S, max(writes, default=None), "{:,.0f}")


def _lines(name):
    return read_lines(os.path.join(RESULTS, name + ".jsonl"))


def _ratio(figure, other):
    return figure / other if figure and other else None
