"""Roost among the contestants: settings of `bench ann`, run by the built program."""

import functools
import json
import os
import subprocess

from environment import CACHE, ROOT

BENCH = os.path.join(ROOT, ".build", "release", "bench")
MEBIBYTE = 1 << 20
EFFORTS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256]
COLD_EFFORTS = [10, 16, 24, 32, 48, 64, 96, 128]


@functools.cache
def help_text():
    """What `bench ann` says of its options; empty when it has not been built."""
    try:
        return subprocess.run([BENCH, "ann", "--help"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


class Setting:
    """One way to run `bench ann`. Settings with the same `index` share one on disk.

    With `cold`, each operating point has a process of its own that asks each query once: a cache of pages
    would otherwise hold what the same queries read a moment before. Without, queries run over and over.
    """

    def __init__(self, name, index, arguments, only_for=lambda data: True, needs=(), cold=False):
        self.name, self.index, self.arguments, self.only_for = name, index, arguments, only_for
        self.needs, self.cold = needs, cold

    def wants(self, data):
        return self.only_for(data) and all(option in help_text() for option in self.needs)

    def commands(self, data, threads, seconds, rebuild):
        """The runs of one round, one after the other."""
        common = [
            BENCH,
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
            os.path.join(CACHE, "bench", data.name, self.index),
            "--seconds",
            str(seconds),
            *self.arguments(data),
        ]
        sweeps = [(",".join(map(str, threads)), ",".join(map(str, EFFORTS)))]
        if self.cold:
            common.append("--once")
            sweeps = [(str(count), str(effort)) for count in threads for effort in COLD_EFFORTS]
        for number, (count, effort) in enumerate(sweeps):
            more = ["--rebuild"] if rebuild and number == 0 else []
            yield [*common, "--threads", count, "--effort", effort, *more]


def is_integer(data):
    return not data.path("base").endswith(".fbin")


def is_large(data):
    return len(data.base()) >= 100_000


def floats(data):
    return ["--floats"] if is_integer(data) else []


def from_disk(mebibytes, *more):
    """32 bytes of memory per vector, as DiskANN's codes take, and so much more."""
    return lambda data: [*floats(data), "--memory", str(32 * len(data.base()) + mebibytes * MEBIBYTE), *more]


COMPACT = ("--layout", "compact")

SETTINGS = [
    Setting("roost", "f32", floats),
    Setting("roost, 100 a call", "f32", lambda data: [*floats(data), "--batch", "100"], needs=["--batch"]),
    Setting("roost compact", "compact", lambda data: [*floats(data), *COMPACT], needs=["--layout"]),
    Setting("roost u8", "u8", lambda data: [], is_integer),
    Setting("roost ssd 32 B + 64 MiB", "f32", from_disk(64), is_large, needs=["--once"], cold=True),
    Setting("roost ssd 32 B + 16 MiB", "f32", from_disk(16), is_large, needs=["--once"], cold=True),
    Setting(
        "roost ssd compact 32 B + 64 MiB",
        "compact",
        from_disk(64, *COMPACT),
        is_large,
        needs=["--once", "--layout"],
        cold=True,
    ),
]


def run(setting, data, through, threads, seconds, rebuild):
    """Runs one setting; yields its lines, each with the setting's name and the data's."""
    for command in setting.commands(data, threads, seconds, rebuild):
        outcome = subprocess.run([*through, *command], capture_output=True, text=True, check=False)
        for text in outcome.stdout.splitlines():
            if text.startswith("{"):
                yield {"peer": setting.name, **json.loads(text), "data": data.name}
        if outcome.returncode != 0:
            raise RuntimeError((outcome.stderr.strip().splitlines() or [f"exit {outcome.returncode}"])[-1])
