"""Builds or measures one peer in this process: `python measure.py build|search PEER DATA …`.

Results go to stdout, one JSON line each, in the form of `bench ann` with the peer's name added.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import threading
import time

import numpy

from contestants import PEERS
from environment import CACHE
from vectorfiles import DataSet

INDEXES = os.path.join(CACHE, "peers")
SECONDS_MAX = {"build": 1800, "search": 600}


def index_folder(peer, data):
    name = getattr(peer, "shared", peer.name)
    return os.path.join(INDEXES, data.name, name.replace(" ", "-").replace("%", ""))


def size_on_disk(folder):
    return sum(
        os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(folder) for name in names
    )


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def build(peer, data, folder):
    partial = folder + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    rows = numpy.ascontiguousarray(data.base(), dtype=numpy.float32)
    started = time.perf_counter()
    peer.build(data, rows, partial)
    line = {
        "peer": peer.name,
        "data": data.name,
        "count": len(rows),
        "dimension": rows.shape[1],
        "build_s": round(time.perf_counter() - started, 2),
        "disk_bytes": size_on_disk(partial),
    }
    with open(os.path.join(partial, "built.json"), "w", encoding="utf-8") as file:
        json.dump(line, file)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(partial, folder)


class Point:
    """One operating point: counts and latencies from `threads` threads."""

    def __init__(self, peer, queries, asked, truth, threads, seconds):
        self.peer, self.queries, self.asked, self.truth = peer, queries, asked, truth
        self.threads, self.seconds = threads, seconds

    def recall(self, answers):
        found = sum(len(set(map(int, ids)) & true) for ids, true in zip(answers, self.truth))
        return found / sum(map(len, self.truth))

    def _one_by_one(self, start, micros, answers):
        """Asks all queries over and over, one a call, beginning with number `start`."""
        one, clock, asked, position = self.peer.one, time.perf_counter, self.asked, start
        end = clock() + self.seconds
        while True:
            query = position % len(asked)
            began = clock()
            ids = one(asked[query])
            now = clock()
            micros.append((now - began) * 1e6)
            answers[query] = ids
            position += 1
            if now > end and position - start >= len(asked):
                return

    def measure(self):
        """Recall, queries/s, latencies, and processor time per query, which a busy machine distorts least."""
        in_batches = self.peer.calls == "batch" or (self.threads > 1 and self.peer.calls == "one")
        began = time.process_time()
        count, answers, result = self._in_batches() if in_batches else self._side_by_side()
        processor_us = (time.process_time() - began) * 1e6 / count
        return {"recall10": self.recall(answers), **result, "cpu_us": processor_us}

    def _side_by_side(self):
        answers, lanes = [None] * len(self.asked), [[] for _ in range(self.threads)]
        starts = [lane * len(self.asked) // self.threads for lane in range(self.threads)]
        workers = [
            threading.Thread(target=self._one_by_one, args=(start, micros, answers))
            for start, micros in zip(starts, lanes)
        ]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        elapsed = time.perf_counter() - began
        micros = sorted(sum(lanes, []))
        return (
            len(micros),
            answers,
            {
                "qps": round(len(micros) / elapsed),
                "mean_us": sum(micros) / len(micros),
                "p50_us": micros[len(micros) // 2],
                "p99_us": micros[len(micros) * 99 // 100],
            },
        )

    def _in_batches(self):
        count, began = 0, time.perf_counter()
        while True:
            answers = self.peer.batch(self.queries)
            count += len(self.queries)
            elapsed = time.perf_counter() - began
            if elapsed > self.seconds:
                return count, answers, {"qps": round(count / elapsed)}


def search(peer, data, folder, options):
    with open(os.path.join(folder, "built.json"), encoding="utf-8") as file:
        built = json.load(file)
    queries = numpy.ascontiguousarray(data.queries(), dtype=numpy.float32)
    truth = [set(map(int, row)) for row in data.truth()]
    for threads in options.threads:
        before = resident_bytes()
        peer.open(data, folder, threads)
        asked = peer.prepare(queries) if hasattr(peer, "prepare") else queries
        batch = asked if isinstance(asked, numpy.ndarray) else queries
        for parameter in peer.parameters:
            peer.set(parameter)
            if parameter == peer.parameters[0]:  # warm
                if threads > 1 and peer.calls != "threads" or peer.calls == "batch":
                    peer.batch(batch)
                else:
                    for query in asked:
                        peer.one(query)
                line = dict(
                    built, peer=peer.name, threads=threads, rss_bytes=max(0, resident_bytes() - before)
                )
                print(json.dumps(line), flush=True)
            result = Point(peer, batch, asked, truth, threads, options.seconds).measure()
            line = {"peer": peer.name, "data": data.name, **result, "threads": threads, "param": parameter}
            print(json.dumps(line), flush=True)
            if result["recall10"] >= 0.998:
                break


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["build", "search"])
    parser.add_argument("peer", choices=[peer.name for peer in PEERS])
    parser.add_argument("data")
    parser.add_argument("--threads", type=lambda text: [int(part) for part in text.split(",")], default=[1])
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    peer = next(peer for peer in PEERS if peer.name == options.peer)
    data = DataSet(options.data)
    folder = index_folder(peer, data)
    signal.alarm(SECONDS_MAX[options.action])  # ends a library that hangs
    # What a library prints is not a result.
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = results
    if options.action == "build":
        build(peer, data, folder)
    else:
        search(peer, data, folder, options)


if __name__ == "__main__":
    main()
