"""Writes spec/benchmarks.md and its pictures from the result lines."""

import os

import chart
import sections
from contestants import PEERS
from environment import RESULTS, ROOT, versions
from goals import Goals
from results import Results
from sections import number, table
from vectorfiles import DataSet, is_finished

PAGE = os.path.join(ROOT, "spec", "benchmarks.md")
PICTURES = os.path.join(ROOT, "spec", "benchmarks")
ORDER = ["sift200k", "minilm", "made1m"]
RECALLS = [0.9, 0.95, 0.99]


def is_disk(name):
    return "ssd" in name or name.startswith("diskannpy")


class Page:
    def __init__(self, note=""):
        self.note = note
        os.makedirs(PICTURES, exist_ok=True)
        self.parts = []
        self.sets = [
            name for name in ORDER if is_finished(name) and os.path.isdir(os.path.join(RESULTS, name))
        ]

    def add(self, *texts):
        self.parts += texts

    def picture(self, name, title, *arguments, **more):
        with open(os.path.join(PICTURES, name + ".svg"), "w", encoding="utf-8") as file:
            file.write(chart.draw(title, *arguments, **more))
        self.add(f"![{title}](benchmarks/{name}.svg)")

    def write(self):
        for name in os.listdir(PICTURES):
            if name.endswith(".svg"):
                os.remove(os.path.join(PICTURES, name))
        self.introduction()
        self.goals()
        for name in self.sets:
            self.contest(name)
        self.space()
        for section in (sections.disk, sections.filters, sections.streaming, sections.node):
            section(self)
        if not any("|---|" in part for part in self.parts):
            self.add("There are no results here yet: `tools/run report` takes them and fills this page.")
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write("\n\n".join(self.parts) + "\n")

    def introduction(self):
        installed = versions()
        peers = sorted({peer.package for peer in PEERS})
        sets = "\n".join(f"- `{name}`: {self.about(name)}." for name in ORDER if is_finished(name))
        self.add(
            "# Benchmarks",
            "Made by `tools/run report`; nothing here is written by hand. The machine: a virtual one with two "
            "cores of an AMD EPYC (AVX-512), 24 GiB of memory and an SSD. Compare figures with one another, not "
            "with those of another machine.",
            "```\n"
            "tools/run datasets minilm made1m          # data sets with exact ground truth, into .cache\n"
            "tools/run datasets --sift FOLDER          # SIFT descriptors, if you have them\n"
            "tools/run peers --data minilm             # one data set: Roost and the peers by turns\n"
            "tools/run report                          # everything, then this page and its pictures\n"
            "```",
            "Data sets:\n\n" + sets,
            "Peers, from PyPI: "
            + ", ".join(f"{name} {installed.get(name, '(not installed)')}" for name in peers)
            + ". How each is built and asked: `tools/bench/python/contestants.py`; the rules: "
            "`tools/bench/README.md`.",
            "In all tables *q/s @0.95* is queries per second at recall@10 = 0.95, between the two nearest "
            "operating points of the sweep; – means that no operating point reaches it. Each operating point "
            "is the median of several rounds, in which all contestants took turns. One thread: one query a "
            "call, except *faiss IVF*, which gets all queries in one call. Two threads: queries side by side; "
            "peers with threads of their own get all queries in one call.",
        )
        if self.note:
            self.add(self.note)

    def goals(self):
        goals = Goals()
        for name in self.sets:
            results = Results(name)
            if results.threads():
                goals.add_contest(name, results)
        goals.add_rest()
        if goals.rows:
            self.add("## Goals", table(["what", "wanted", "measured", "reached"], goals.rows))

    def about(self, name):
        data = DataSet(name)
        count, dimension = data.base().shape
        return (
            f"{data.about['text']}; {count:,} × {dimension}, {data.metric}, {len(data.queries()):,} queries"
        )

    # A contest: tables and pictures.

    def contest(self, data_name):
        results = Results(data_name)
        if not results.threads():
            return
        self.add(f"## {data_name}", self.about(data_name) + ".")
        for kind, title, chosen in (
            ("memory", "Search in memory", lambda name: not is_disk(name)),
            ("disk", "Search from disk (O_DIRECT)", is_disk),
        ):
            names = [name for name in results.names() if chosen(name)]
            if not names or (kind == "disk" and not any(name.startswith("roost") for name in names)):
                continue
            self.add(f"### {title}, {data_name}", self.contest_table(results, names, kind))
            self.ratios(results, names)
            for threads in results.threads():
                series = {
                    name: [(point["recall10"], point["qps"]) for point in results.frontier(name, threads)]
                    for name in names
                }
                series = {name: line for name, line in series.items() if any(x >= 0.8 for x, _ in line)}
                if series:
                    plural = "s" if threads > 1 else ""
                    self.picture(
                        f"{data_name}-{kind}-{threads}",
                        f"{title}, {data_name}, {threads} thread{plural}",
                        "recall@10",
                        "queries per second",
                        series,
                        x_range=(0.8, 1.0),
                    )

    def contest_table(self, results, names, kind):
        head = [
            "index",
            "threads",
            *(f"q/s @{recall:.2f}" for recall in RECALLS),
            "mean µs @0.95",
            "p99 µs @0.95",
            "CPU µs @0.95",
        ]
        if kind == "disk":
            head += ["reads per query @0.95", "memory MB"]
        rows = []
        for name in names:
            for threads in results.threads():
                if not results.points(name, threads):
                    continue
                top = results.recall_max(name, threads)
                cells = [results.at(name, threads, recall) for recall in RECALLS]
                row = [
                    name,
                    threads,
                    *(f"– (max {top:.3f})" if cell is None else number(cell) for cell in cells),
                ]
                row += [
                    number(results.at(name, threads, 0.95, key)) for key in ("mean_us", "p99_us", "cpu_us")
                ]
                if kind == "disk":
                    memory = results.at(name, threads, 0.95, "heap_bytes") or results.about(name).get(
                        "rss_bytes"
                    )
                    row += [
                        number(results.at(name, threads, 0.95, "ios_per_query"), 1),
                        number(memory / 1e6 if memory else None),
                    ]
                rows.append(row)
        return table(head, rows)

    def ratios(self, results, names):
        """What the targets ask: ours against the best peer."""
        for mine in (name for name in names if name.startswith("roost")):
            said = []
            for threads in results.threads():
                for recall in RECALLS:
                    rivals = {
                        name: results.at(name, threads, recall) or 0
                        for name in names
                        if not name.startswith("roost")
                    }
                    best = max(rivals, key=rivals.get, default=None)
                    figure = results.at(mine, threads, recall)
                    if figure and best and rivals[best]:
                        row = [threads, f"{recall:.2f}", best, f"{figure / rivals[best]:.2f}"]
                        for key in ("mean_us", "cpu_us"):
                            times = [results.at(name, threads, recall, key) for name in (mine, best)]
                            row.append(f"{times[0] / times[1]:.2f}" if all(times) else "–")
                        said.append(row)
            if said:
                self.add(
                    f"`{mine}` against the best peer:",
                    table(
                        [
                            "threads",
                            "recall@10",
                            "best peer",
                            "times its queries/s",
                            "times its mean latency",
                            "times its CPU",
                        ],
                        said,
                    ),
                )
            one, two = results.at(mine, 1, 0.95), results.at(mine, 2, 0.95)
            if one and two:
                self.add(f"`{mine}` with two threads against one, at 0.95: {two / one:.2f} times.")

    def space(self):
        rows = []
        for data_name in self.sets:
            results = Results(data_name)
            for name in results.names():
                about = results.about(name)
                count = about.get("count")
                if not count:
                    continue
                build = about.get("build_s")
                rows.append(
                    [
                        data_name,
                        f"{count:,} × {about['dimension']}",
                        name,
                        number(build, 1),
                        number(count / build if build else None),
                        number(about.get("disk_bytes", 0) / count or None),
                        number(about.get("rss_bytes", 0) / count or None),
                    ]
                )
        if not rows:
            return
        self.add(
            "## Build and space",
            "Two threads build. Disk: everything in the index's folder. Resident: for Roost the whole process "
            "with the index open, before the first search; for a peer what opening and one pass of the queries "
            "added.",
            table(
                [
                    "data",
                    "size",
                    "index",
                    "build s",
                    "vectors/s",
                    "disk bytes per vector",
                    "resident bytes per vector",
                ],
                rows,
            ),
        )
