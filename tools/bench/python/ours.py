"""Roost among the contestants: settings of `bench ann`, run by the built program."""

import json
import os
import subprocess

from environment import CACHE, ROOT

BENCH = os.path.join(ROOT, ".build", "release", "bench")
MEBIBYTE = 1 << 20


class Setting:
    """One way to run `bench ann`. Settings with the same `index` share one on disk."""

    def __init__(self, name, index, arguments, only_for=lambda data: True):
        self.name, self.index, self.arguments, self.only_for = name, index, arguments, only_for

    def wants(self, data):
        return self.only_for(data)

    def command(self, data, threads, seconds, rebuild):
        place = os.path.join(CACHE, "bench", data.name, self.index)
        return [
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
            place,
            "--threads",
            ",".join(map(str, threads)),
            "--seconds",
            str(seconds),
            *self.arguments(data),
            *(["--rebuild"] if rebuild else []),
        ]


def is_integer(data):
    return not data.path("base").endswith(".fbin")


def is_large(data):
    return len(data.base()) >= 100_000


def floats(data):
    return ["--floats"] if is_integer(data) else []


SETTINGS = [
    Setting("roost", "f32", floats),
    Setting("roost u8", "u8", lambda data: [], is_integer),
    # The memory that the target allows for search from disk, and next to none beyond the codes.
    Setting(
        "roost ssd 32 B + 64 MiB",
        "f32",
        lambda data: [*floats(data), "--memory", str(32 * len(data.base()) + 64 * MEBIBYTE)],
        is_large,
    ),
]


def run(setting, data, through, threads, seconds, rebuild):
    """Runs one setting; yields its lines, each with the setting's name and the data's."""
    command = setting.command(data, threads, seconds, rebuild)
    outcome = subprocess.run([*through, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for text in outcome.stdout.splitlines():
        if text.startswith("{"):
            yield {"peer": setting.name, **json.loads(text), "data": data.name}
    if outcome.returncode != 0:
        raise RuntimeError((outcome.stderr.strip().splitlines() or [f"exit {outcome.returncode}"])[-1])
