"""The virtual environment of the benchmarks: .cache/bench-python, with the packages of requirements.txt.

Only the standard library here: this runs before anything is installed. A package that cannot be installed
is named on stderr and left out; whoever needs it finds out by importing it.
"""

import hashlib
import importlib.metadata
import os
import subprocess
import sys
import venv

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
CACHE = os.path.join(ROOT, ".cache")
FOLDER = os.path.join(CACHE, "bench-python")
RESULTS = os.path.join(CACHE, "bench", "results")
REQUIREMENTS = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "requirements.txt")


def requirements():
    with open(REQUIREMENTS, encoding="utf-8") as lines:
        return [text for text in (line.partition("#")[0].strip() for line in lines) if text]


def versions():
    """{package: version} of what is installed of the requirements."""
    found = {}
    for requirement in requirements():
        name = requirement.partition("==")[0]
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def install(python):
    # One by one and without what each says it needs: one bad package must not keep out the others, and the
    # peers disagree about the version of numpy although one serves them all. The file pins everything.
    for requirement in requirements():
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        outcome = subprocess.run([*command, requirement], capture_output=True, text=True)
        if outcome.returncode != 0:
            reason = (outcome.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"environment: {requirement} cannot be installed here: {reason}", file=sys.stderr)


def enter():
    """Goes on in the environment, which is made if it is missing or made for other requirements."""
    python = os.path.join(FOLDER, "bin", "python")
    if os.path.realpath(sys.prefix) == os.path.realpath(FOLDER):
        return
    stamp = os.path.join(FOLDER, "made-for")
    with open(REQUIREMENTS, "rb") as file:
        wanted = hashlib.sha256(file.read()).hexdigest()
    if not os.path.exists(stamp) or open(stamp, encoding="utf-8").read() != wanted:
        print(
            "environment: installing the benchmarks' Python packages into .cache/bench-python",
            file=sys.stderr,
        )
        venv.create(FOLDER, with_pip=True)
        install(python)
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(wanted)
    os.execv(python, [python, *sys.argv])
