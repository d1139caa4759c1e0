"""The measurements of the report that are not a contest. Each keeps its lines in NAME.jsonl."""

import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from environment import CACHE, RESULTS, ROOT
from ours import BENCH, floats, from_disk, help_text
from vectorfiles import DataSet, is_finished

sys.path.insert(0, os.path.join(ROOT, "tools", "python"))
import roost  # noqa: E402

ROOST = os.path.join(ROOT, ".build", "release", "roost")
DEPTHS = [1, 16, 64, 128]


class Step:
    """Runs programs through the wanted command and keeps their lines."""

    def __init__(self, name, options):
        self.name, self.options, self.lines = name, options, []

    def say(self, text):
        print(f"report: {self.name}: {text}", file=sys.stderr, flush=True)

    def output(self, command, check=True):
        outcome = subprocess.run([*self.options.through, *command], capture_output=True, text=True)
        if outcome.returncode != 0 and check:
            last = (outcome.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
            raise RuntimeError(
                f"{os.path.basename(command[0])} {command[1]}: exit {outcome.returncode}: {last}"
            )
        return outcome.stdout

    def bench(self, *arguments, **more):
        for text in self.output([BENCH, *arguments]).splitlines():
            if text.startswith("{"):
                self.lines.append({**json.loads(text), **more})

    def save(self):
        os.makedirs(RESULTS, exist_ok=True)
        path = os.path.join(RESULTS, self.name + ".jsonl")
        with open(path + ".partial", "w", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in self.lines))
        os.rename(path + ".partial", path)


def index_of(data_name, setting="f32"):
    """The data folder of the node that holds a contest's index."""
    found = glob.glob(os.path.join(CACHE, "bench", data_name, setting, "*", "collections", "bench"))
    return os.path.dirname(os.path.dirname(max(found, key=os.path.getmtime))) if found else None


def ring(step):
    """4 KiB O_DIRECT random reads: fio's io_uring engine and our ring by turns, on one file."""
    if shutil.which("fio") is None:
        raise RuntimeError("fio is not installed (Debian package fio)")
    folder = os.path.join(CACHE, "bench")
    os.makedirs(folder, exist_ok=True)
    path, seconds = os.path.join(folder, "roost-ring-bench.dat"), step.options.seconds * 2
    mine = ["ring", "--directory", folder, "--only", "queue-direct", "--keep"]
    step.bench(*mine, "--depths", "1", "--seconds", "0.1")  # makes the file
    step.lines.clear()
    for number in range(1, step.options.rounds + 1):
        for depth in DEPTHS:
            step.say(f"round {number}, depth {depth}")
            text = step.output(
                [
                    "fio",
                    "--name=r",
                    f"--filename={path}",
                    "--rw=randread",
                    "--bs=4k",
                    "--direct=1",
                    "--readonly",
                    "--ioengine=io_uring",
                    f"--iodepth={depth}",
                    "--time_based",
                    f"--runtime={seconds:g}",
                    "--output-format=json",
                ]
            )
            read = json.loads(text[text.index("{") :])["jobs"][0]["read"]
            step.lines.append(
                {
                    "peer": "fio",
                    "depth": depth,
                    "per_second": round(read["iops"]),
                    "mean_us": read["lat_ns"]["mean"] / 1000,
                    "round": number,
                }
            )
            step.bench(*mine, "--depths", str(depth), "--seconds", str(seconds), peer="roost", round=number)
    step.lines = [line for line in step.lines if line.get("what") != "queue-direct-all-rings"]
    os.remove(path)


def saturation(step):
    """Reads per second that searches from disk make, by how many go on side by side on both cores."""
    name = "sift200k" if is_finished("sift200k") else "made1m"
    data = DataSet(name)
    side_by_side = ["--threads", "2", "--concurrency", "1,4,16,32,64"]
    if "--concurrency" not in help_text():
        side_by_side = ["--threads", "2,8,32,64"]
    step.bench(
        "ann",
        "--base",
        data.path("base"),
        "--queries",
        data.path("query"),
        "--groundtruth",
        data.truth_path,
        "--metric",
        data.metric,
        "--directory",
        os.path.join(CACHE, "bench", name, "f32"),
        "--effort",
        "24",
        *from_disk(16)(data),
        *side_by_side,
        "--seconds",
        str(step.options.seconds * 2),
        data=name,
    )
    for line in step.lines:
        if "recall10" in line:
            line["side_by_side"] = line["threads"] * line.get("concurrency", 1)
            line["reads_per_s"] = line.get("reads_per_s", line["qps"] * line["ios_per_query"])


def get(step):
    step.bench("get", "--directory", os.path.join(CACHE, "bench"), "--seconds", str(step.options.seconds * 2))


def ingest(step):
    step.bench(
        "ingest",
        "--directory",
        os.path.join(CACHE, "bench"),
        "--batch",
        "1,100,1000",
        "--sync",
        "always",
        "--in-flight",
        "1,8",
        "--seconds",
        "4",
    )


def filters(step):
    for name in ("sift200k", "minilm"):
        if is_finished(name):
            step.say(name)
            data = DataSet(name)
            step.bench(
                "filter",
                "--base",
                data.path("base"),
                "--queries",
                data.path("query"),
                "--metric",
                data.metric,
                *floats(data),
                "--directory",
                os.path.join(CACHE, "bench", name, "filter"),
                data=name,
            )


def stream(step):
    place = ["--directory", os.path.join(CACHE, "bench", "stream")]
    if is_finished("sift200k"):
        data = DataSet("sift200k")
        step.bench(
            "stream",
            "--base",
            data.path("base"),
            "--queries",
            data.path("query"),
            *floats(data),
            *place,
            data=data.name,
        )
    else:
        step.bench("stream", *place)


# Start, memory at rest and size.


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def evict(folder):
    """Drops a folder's files from the kernel's cache, so that the next reads come from the disk."""
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Node:
    """A node of its own, over a data folder, ended with the block."""

    def __init__(self, folder, *arguments):
        self.port, self.began = free_port(), time.perf_counter()
        self.process = subprocess.Popen(
            [ROOST, "serve", "--data", folder, "--listen", f"127.0.0.1:{self.port}", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def connect(self):
        while True:
            try:
                return roost.Client("127.0.0.1", self.port)
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"the node ended with exit {self.process.returncode}") from None
                time.sleep(0.001)

    def memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return {key: int(fields[key].split()[0]) * 1024 for key in ("VmRSS", "RssAnon", "RssFile")}


def start(step):
    for data_name, more in [("made1m", []), ("made1m", ["--memory", "96MiB"]), ("minilm", [])]:
        folder = index_of(data_name) if is_finished(data_name) else None
        if folder is None:
            continue
        data = DataSet(data_name)
        query, true = data.queries()[0].tolist(), set(map(int, data.truth()[0]))
        for number in range(1, step.options.rounds + 3):
            evict(folder)
            with Node(folder, *more) as node:
                with node.connect() as client:
                    connected = time.perf_counter() - node.began
                    hits = client.search("bench", vector=query, k=10)
                    answered = time.perf_counter() - node.began
                step.lines.append(
                    {
                        "what": "start",
                        "data": data_name,
                        "count": len(data.base()),
                        "memory": more[1] if more else "default",
                        "connected_ms": connected * 1000,
                        "answered_ms": answered * 1000,
                        "round": number,
                        **node.memory(),
                        "recall10": len(true & {hit["id"] for hit in hits}) / 10,
                    }
                )
    with tempfile.TemporaryDirectory() as folder:
        with Node(folder) as node:
            with node.connect() as client:
                client.ping()
            time.sleep(2)
            step.lines.append({"what": "idle", **node.memory()})
        for path in (ROOST, library("libwasmtime.so")):
            if path:
                stripped = shutil.copy(path, folder)
                subprocess.run(["strip", stripped], check=True)
                step.lines.append(
                    {
                        "what": "size",
                        "file": os.path.basename(path),
                        "bytes": os.path.getsize(path),
                        "stripped_bytes": os.path.getsize(stripped),
                    }
                )


def library(name):
    """Where the loader finds a library of the program."""
    for text in subprocess.run(
        ["ldd", ROOST], capture_output=True, text=True, check=True
    ).stdout.splitlines():
        if name in text and "=>" in text:
            return os.path.realpath(text.split("=>")[1].split()[0])
    return None


STEPS = {
    "ring": ring,
    "saturation": saturation,
    "get": get,
    "ingest": ingest,
    "start": start,
    "filter": filters,
    "stream": stream,
}
