"""The sections of spec/benchmarks.md that are not a contest: the disk, filters, streaming, the node."""

import os
import statistics

from environment import RESULTS
from results import read_lines


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def kept(name):
    return read_lines(os.path.join(RESULTS, name + ".jsonl"))


def cell(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (int, float)):
        return value
    if isinstance(value, int) or abs(value) >= 1000:
        return number(value)
    return f"{value:.4g}"


def plain_table(lines, hidden=("bench", "data")):
    keys = [key for key in dict.fromkeys(key for line in lines for key in line) if key not in hidden]
    return table(keys, [[cell(line.get(key, "–")) for key in keys] for line in lines])


def groups(lines, key):
    """{value of key: its lines}, in the order of first appearance."""
    found = {}
    for line in lines:
        found.setdefault(line.get(key), []).append(line)
    return found


def disk(page):
    lines = kept("ring")
    if lines:
        rows = []
        for depth, alike in groups(lines, "depth").items():
            fio, ours = (
                statistics.median(line["per_second"] for line in alike if line["peer"] == peer)
                for peer in ("fio", "roost")
            )
            rows.append([depth, number(fio), number(ours), f"{ours / fio:.2f}"])
        page.add(
            "## The disk",
            "4 KiB random reads with O_DIRECT from one file of 1 GiB, one thread, by turns: fio's io_uring "
            "engine and Roost's ring (`bench ring`).",
            table(["reads in flight", "fio reads/s", "Roost reads/s", "ratio"], rows),
        )
    lines = [line for line in kept("saturation") if "recall10" in line]
    if lines:
        rows = [
            [
                line["side_by_side"],
                f"{line['recall10']:.3f}",
                number(line["qps"]),
                number(line["ios_per_query"], 1),
                number(line["reads_per_s"]),
                number(line["mean_us"]),
            ]
            for line in lines
        ]
        page.add(
            f"Searches from disk side by side, on both cores ({lines[0]['data']}, memory of 32 bytes per "
            "vector and 16 MiB), and the reads per second that they make:",
            table(
                ["searches side by side", "recall@10", "queries/s", "reads per query", "reads/s", "mean µs"],
                rows,
            ),
        )


def filters(page):
    lines = kept("filter")
    if not lines:
        return
    page.add(
        "## Filters",
        "`tools/run bench filter`: the filter lets a share of the records pass (selectivity), picked without "
        "regard to the query (uncorrelated), the nearest of a neighbourhood of the query (correlated), or the "
        "farthest from it (anticorrelated). *ratio* is queries/s against the search without a filter.",
    )
    for data, alike in groups(lines, "data").items():
        page.add(f"### Filters, {data}", plain_table(alike))
        filtered = {
            name: group for name, group in groups(alike, "correlation").items() if name != "unfiltered"
        }
        for key, title in (("qps", "queries per second"), ("recall10", "recall@10")):
            series = {
                f"roost, {name}": [(line["selectivity"], line[key]) for line in group]
                for name, group in filtered.items()
            }
            if series:
                lowest = min(y for line in series.values() for _, y in line)
                span = {} if key == "qps" else {"y_log": False, "y_range": (min(0.8, lowest), 1.0)}
                page.picture(
                    f"{data}-filter-{key}",
                    f"Filtered search, {data}: {title}",
                    "share of records that pass",
                    title,
                    series,
                    x_log=True,
                    **span,
                )


def streaming(page):
    lines = kept("stream")
    if not lines:
        return
    page.add(
        "## Streaming",
        f"`tools/run bench stream`, {lines[0].get('data', 'made data')}: searches at a steady rate while the "
        "collection is quiet, flushed, compacted, and while all records are replaced twice, one in eight of "
        "them deleted before. Then recall, and that of a collection built afresh of the same records.",
    )
    for with_recall in (False, True):
        alike = [line for line in lines if ("recall10" in line) == with_recall]
        if alike:
            page.add(plain_table(alike))


def node(page):
    lines = kept("start")
    if lines:
        page.add("## The node")
        rows = []
        for (data, memory), alike in by_data_and_memory(lines).items():
            connected, answered, resident = (
                statistics.median(line[key] for line in alike)
                for key in ("connected_ms", "answered_ms", "VmRSS")
            )
            rows.append(
                [
                    data,
                    number(alike[0]["count"]),
                    memory,
                    number(connected),
                    number(answered),
                    number(resident / 1e6),
                    f"{alike[0]['recall10']:.1f}",
                ]
            )
        page.add(
            "From the start of `roost serve` to the first answer, the data not in the kernel's cache; medians. "
            "*resident*: of the node, after that answer.",
            table(
                ["data", "records", "--memory", "connected ms", "answered ms", "resident MB", "recall@10"],
                rows,
            ),
        )
        for line in lines:
            if line["what"] == "idle":
                page.add(
                    f"An idle node on an empty folder: {line['VmRSS'] / 1e6:.1f} MB resident, "
                    f"{line['RssAnon'] / 1e6:.1f} MB of it memory of its own, the rest pages of its files."
                )
        sizes = [line for line in lines if line["what"] == "size"]
        if sizes:
            each = ", ".join(f"`{line['file']}` {line['stripped_bytes'] / 1e6:.1f} MB" for line in sizes)
            total = sum(line["stripped_bytes"] for line in sizes)
            page.add(f"Stripped: {each}; together {total / 1e6:.1f} MB.")
    for name, text in (
        ("get", "Point reads over loopback, one connection (`bench get`):"),
        ("ingest", "Durable writes over the wire, searchable when acknowledged (`bench ingest`):"),
    ):
        if kept(name):
            page.add(text, plain_table(kept(name)))


def by_data_and_memory(lines):
    found = {}
    for line in lines:
        if line["what"] == "start":
            found.setdefault((line["data"], line["memory"]), []).append(line)
    return found
