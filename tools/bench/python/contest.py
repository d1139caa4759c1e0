"""Runs Roost and the peers by turns, round after round, so that a busy minute harms all alike."""

import json
import os
import subprocess
import sys
import time

import ours
from contestants import PEERS
from environment import FOLDER, RESULTS, versions
from measure import index_folder


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


STARTED = time.monotonic()


class Contest:
    """One data set's contest. Lines of a contestant replace those that an earlier contest left of it,
    unless the options say to resume that one."""

    def __init__(self, data, options):
        self.data, self.options = data, options
        self.failed, self.is_unfinished = {}, False
        self.folder = os.path.join(RESULTS, data.name)
        os.makedirs(self.folder, exist_ok=True)

    def _picked(self, contestants):
        words = self.options.only
        return [each for each in contestants if each.wants(self.data) and (not words or each.name in words)]

    def run(self):
        peers, settings = self._picked(PEERS), self._picked(ours.SETTINGS)
        for peer in peers:
            built = os.path.join(index_folder(peer, self.data), "built.json")
            if self.options.rebuild or not os.path.exists(built):
                self._attempt(peer, "building", lambda: self._child("build", peer))
        for number in range(1, self.options.rounds + 1):
            for each in [*settings, *peers]:
                if not (self.options.resume and self._has_measured(each, number)):
                    what = f"round {number} of {self.options.rounds},"
                    self._attempt(each, what, lambda: self._measure(each, number))

    def _attempt(self, contestant, what, action):
        if contestant.name in self.failed or self.is_unfinished:
            return
        if time.monotonic() - STARTED > self.options.stop_after:
            self.is_unfinished = True
            return
        say(f"{self.data.name}: {what} {contestant.name}")
        try:
            action()
        except (RuntimeError, OSError) as error:
            self.failed[contestant.name] = str(error)
            say(f"{contestant.name} is left out of {self.data.name}: {error}")

    def _child(self, action, peer, *more):
        if peer.package not in versions():
            raise RuntimeError(f"{peer.package} is not installed")
        script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "measure.py")
        command = [os.path.join(FOLDER, "bin", "python"), script, action, peer.name, self.data.name, *more]
        outcome = subprocess.run(
            [*self.options.through, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if outcome.returncode != 0:
            last = (outcome.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
            raise RuntimeError(f"exit {outcome.returncode}: {last}")
        return [json.loads(text) for text in outcome.stdout.splitlines()]

    def _path(self, contestant):
        return os.path.join(self.folder, contestant.name.replace(" ", "-").replace("%", "") + ".jsonl")

    def _has_measured(self, contestant, number):
        path = self._path(contestant)
        if not os.path.exists(path):
            return False
        with open(path, encoding="utf-8") as file:
            return any(json.loads(text)["round"] == number for text in file)

    def _measure(self, contestant, number):
        options = self.options
        if contestant in ours.SETTINGS:
            # Settings that share an index build it once.
            alike = [each for each in self._picked(ours.SETTINGS) if each.index == contestant.index]
            rebuild = (options.rebuild or options.rebuild_ours) and number == 1 and alike[0] is contestant
            lines = ours.run(
                contestant, self.data, options.through, options.threads, options.seconds, rebuild
            )
        else:
            threads = ",".join(map(str, options.threads))
            lines = self._child("search", contestant, "--threads", threads, "--seconds", str(options.seconds))
        texts = [json.dumps({**line, "round": number}) for line in lines]
        print("\n".join(texts), flush=True)
        with open(self._path(contestant), "w" if number == 1 else "a", encoding="utf-8") as file:
            file.write("".join(text + "\n" for text in texts))
