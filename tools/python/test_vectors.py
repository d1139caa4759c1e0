#!/usr/bin/env python3
"""Checks the package roost against the golden vectors of spec/vectors. With HOST:PORT it also talks to a node."""

import pathlib
import re
import sys

import roost
from roost import Datetime, Geo, RoostError, Vector, Writer

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "spec" / "vectors"

VECTOR = Vector([0.5, -1.0, 2.0])
PAYLOAD = {
    "a": None, "b": True, "c": -7, "d": 1.5, "e": "Zoë", "f": b"\x00\xff", "g": Geo(52.5, 13.4),
    "h": Datetime(1_700_000_000_000_000), "i": [1, "x"], "j": {"k": False},
}
FILTER = ("and", ("=", "section", "utils"), ("in", "n", [1, 2]),
          ("not", ("or", ("exists", "x.y"), ("range", "size", (">=", 10), ("<", 99.5)))))
PLACES = ("or", ("within", "place", ("circle", Geo(48.2, 16.5), 5000.0)),
          ("within", "place", ("box", Geo(-20, 170), Geo(10, -170))),
          ("within", "place", ("polygon", [Geo(0, 0), Geo(0, 1), Geo(1, 0.5)])),
          ("matches", "title", "Zoë's open sources", "phrase"), ("has-value", "note"),
          ("nested", "reviews", ("and", ("=", "stars", 5), ("=", "by", None))),
          ("has-id", [2**64 - 1, "clé"]))
VERSION = (0x0123456789ABCDEF, 7)
DIGEST = "0123456789abcdef" * 4
SCHEMA = {"dimension": 3, "element": "f32", "metric": "cosine", "degree": 32, "build_effort": 100,
          "layout": "compact", "recall": 0.99, "embedder": ("ngrams", "text", ""), "index": ["text", "c"],
          "transforms": [("language", {"field": "text"}), ("units", {})]}
NAMED = {"vectors": {
    "title": {"dimension": 3, "element": "f32", "metric": "cosine", "degree": 32, "build_effort": 100},
    "image": {"dimension": 16, "element": "binary", "metric": "hamming", "degree": 64, "build_effort": 200}},
    "layout": "fast", "recall": 0.985, "embedder": ("ngrams", "text", "title"), "index": "all", "transforms": []}
BITS = Vector([int(n % 3 == 0) for n in range(16)], "binary")
RECORD = {"id": 1, "version": VERSION, "payload": PAYLOAD, "vector": VECTOR, "vectors": {}}
MODULE = {"name": "ngrams", "version": 2, "kind": "embedder", "bytes": 7168, "sha256": DIGEST, "model_sha256": None,
          "exports": ["embed", "memory"], "signer": None, "published_ms": 1_700_000_000_000, "failure": None}
MODULES = [
    {"name": "ngrams", "versions": [MODULE], "current": 2, "previous": [], "canary": None, "pinned": False,
     "grants": ["log", "tensor"], "quota": {"calls": 0, "cpu_percent": 100}, "state": {}, "metrics": {}},
    {"name": "cheap", "versions": [
        {"name": "cheap", "version": 3, "kind": "filter", "bytes": 9, "sha256": DIGEST, "model_sha256": DIGEST,
         "exports": [], "signer": "ed25519:00", "published_ms": 1, "failure": "damaged"}],
     "current": None, "previous": [1, 2], "canary": {"version": 3, "percent": 5}, "pinned": True, "grants": [],
     "quota": {"calls": 4, "cpu_percent": 25}, "state": {"rate": 0.5}, "metrics": {"calls": 7}}]


def on_books(w):
    w.text("books")


def get(w):
    roost.write_ids(w, "books", [1, "a"])
    w.pack("B", 1)


def traced_delete(w):
    roost.write_ids(w, "books", [1])
    w.fields[2] = bytes([1, *[0] * 7, 2, *[0] * 7, 3, *[0] * 7, 1])
    w.fields[4] = bytes([4, *[0] * 7, 5, *[0] * 7])


REQUESTS = {
    "hello": lambda w: roost.write_hello(w, "golden"),
    "ping": lambda w: None,
    "create-collection": lambda w: roost.write_schema(w.text("books"), **SCHEMA),
    "drop-collection": on_books,
    "list-collections": lambda w: None,
    "put": lambda w: roost.write_put(w, "books", [
        {"id": 258, "vector": VECTOR, "payload": PAYLOAD},
        {"id": "clé", "payload": {"text": "to be embedded"}},
        {"id": 2**64 - 1, "vector": Vector([1, 2, 3], "u8")}]),
    "put-sources": lambda w: roost.write_put(w, "books", [
        {"id": 1, "source": "a photo"}, {"id": 2, "payload": PAYLOAD, "source": b"\xff\xd8\0"}]),
    "create-collection-binary": lambda w: roost.write_schema(w.text("prints"), 16, element="binary"),
    "create-collection-vectors": lambda w: roost.write_schema(w.text("films"), **NAMED),
    "put-elements": lambda w: roost.write_put(w, "books", [
        {"id": 1, "vector": Vector([-128, 0, 127], "i8")},
        {"id": 2, "vector": Vector([0.5, -1.0, 2.0], "f16")},
        {"id": 3, "vector": Vector([0.5, -1.0, 2.0], "bf16")},
        {"id": 4, "vector": BITS}]),
    "put-vectors": lambda w: roost.write_put(w, "films", [
        {"id": 1, "vectors": {"title": VECTOR, "image": BITS}, "payload": {"text": "both"}},
        {"id": 2, "vectors": {"image": BITS}},
        {"id": 3, "vector": VECTOR, "vectors": {"image": BITS}}]),
    "delete": lambda w: roost.write_ids(w, "books", [1, "a"]),
    "delete-with-trailer": traced_delete,
    "get": get,
    "search": lambda w: roost.write_search(w, "books", [
        {"vector": VECTOR, "k": 5, "effort": 64, "filter": FILTER, "module": "cheap", "parameters": {"max": 9}},
        {"id": 3, "k": 200, "exact": True, "payload": False},
        {"text": "small databases", "with_vector": True, "explain": True},
        {"id": 3, "using": "image"},
        {"bytes": b"\xff\xd8\0", "k": 3}]),
    "search-scored": lambda w: roost.write_search(w, "books", [
        {"vector": VECTOR, "k": 5, "module": "cheap",
         "score": {"module": "popular", "parameters": {"field": "n"}, "weight": 0.25, "candidates": 40}},
        {"id": 3, "using": "image", "score": {"module": "fresh"}}]),
    "search-forms": lambda w: roost.write_search(w, "books", [
        {"vector": VECTOR, "radius": 0.75, "limit": 1000, "exclude": [3, "a"]},
        {"positive": [1, VECTOR], "negative": [{"text": "dull"}], "strategy": "best-score", "k": 7},
        {"positive": ["a"], "k": 5, "diversity": 0.5, "candidates": 50, "filter": FILTER},
        {"id": 1, "k": 5, "diversity": 0},
        {"text": "small", "group_by": "x.y", "k": 4, "group_size": 2}]),
    "scan": lambda w: roost.write_scan(w, "books", 9, 1000, FILTER, False),
    "scan-ordered": lambda w: roost.write_scan(w, "books", ("clé", 1999), 10, None, True, "year", True),
    "facet": lambda w: roost.write_facet(w, "books", [
        ("values", "section", 10), ("numbers", "size.kb", 0.5), ("datetimes", "added", 86400)], FILTER),
    "count": lambda w: w.text("books").optional(None, w.filter),
    "count-filtered": lambda w: w.text("books").optional(PLACES, w.filter),
    "publish-module": lambda w: roost.write_publish(w, "ngrams", b"\0asm"),
    "publish-module-signed": lambda w: roost.write_publish(
        w, "cheap", b"\0asm", signature=bytes(range(32)) + bytes(range(64, 128)), canary=5),
    "inspect-module": lambda w: w.text("ngrams"),
    "change-module-pin": lambda w: roost.write_change(w, "ngrams", "pin", version=2),
    "change-module-canary": lambda w: roost.write_change(w, "cheap", "canary", version="01234567", percent=5),
    "change-module-delete": lambda w: roost.write_change(w, "cheap", "delete"),
    "change-module-grant": lambda w: roost.write_change(w, "cheap", "grant", grants=["log"]),
    "change-module-state": lambda w: roost.write_change(w, "cheap", "state", values={"rate": 0.5}),
    "change-module-quota": lambda w: roost.write_change(w, "cheap", "quota", calls=4, cpu_percent=25),
    "list-modules": lambda w: None,
    "stats": lambda w: w.optional("books", w.text),
    "stats-node": lambda w: w.optional(None, w.text),
    "flush": on_books,
    "compact": on_books,
    "verify": lambda w: w.text("books").varint(200),
    "backup": lambda w: w.text("books").text("/backup/books"),
}
REPLIES = {
    "hello": {"version": 1, "features": 2, "node": 9, "server": "1.0.0", "requests_in_flight": 1024,
              "body_bytes": 67108864},
    "ping": None,
    "create-collection": None,
    "list-collections": [{"name": "books", "schema": SCHEMA, "records": 3},
                         {"name": "films", "schema": NAMED, "records": 2}],
    "put": [VERSION, (0, 0)],
    "delete": 2,
    "get": [RECORD, None, {"id": "a", "version": (0, 0), "payload": {}, "vector": None, "vectors": {}},
            {"id": 2, "version": VERSION, "payload": {}, "vector": None, "vectors": {"image": BITS, "title": VECTOR}}],
    "search": {"first": 0, "hits": [[{"id": 1, "distance": 0.25, "payload": PAYLOAD, "vector": None, "group": None,
                                      "score": None},
                                     {"id": "a", "distance": 1.5, "payload": None, "vector": VECTOR, "group": None,
                                      "score": -0.5}],
                                    []],
               "modules": [("cheap", 3, DIGEST)], "shards_answered": 1, "shards": 1,
               "explanations": [None, {"micros": 140, "sources": [
                   {"name": "segment 7", "rows": 200000, "method": "filtered-graph", "evidence": "indexed",
                    "passing": 20000, "effort": 64, "scan_cost": 672.5, "walk_cost": 65.25, "rows_compared": 900,
                    "nodes_expanded": 80, "pages_read": 0, "micros": 71},
                   {"name": "memtable 9", "rows": 300, "method": "scan", "evidence": "sampled", "passing": 3,
                    "effort": 64, "scan_cost": 10.0, "walk_cost": 10000.0, "rows_compared": 300,
                    "nodes_expanded": 0, "pages_read": 0, "micros": 30}]}]},
    "search-groups": {"first": 4, "hits": [[
        {"id": 1, "distance": 0.25, "payload": PAYLOAD, "vector": None, "group": "utils", "score": None},
        {"id": "a", "distance": 1.5, "payload": None, "vector": VECTOR, "group": -7, "score": None}]],
                      "modules": [], "shards_answered": 1, "shards": 1, "explanations": []},
    "scan": ([dict(RECORD, id=10)], (10, "z")),
    "facet": {"matched": 70000, "answers": [
        {"distinct": 3, "top": [("utils", 40000), (None, 9)]},
        {"count": 2, "least": -7, "greatest": 1.25, "histogram": [(-7.0, 1), (1.0, 1)]},
        {"count": 0, "least": None, "greatest": None, "histogram": []}]},
    "scan-part": ([], "k"),
    "count": 3,
    "publish-module": MODULE,
    "list-modules": MODULES,
    "inspect-module": MODULES[0],
    "change-module": MODULES[1],
    "change-module-gone": None,
    "stats": {"records": 3},
}

failures = 0


def check(holds, what):
    global failures
    if not holds:
        failures += 1
        print("FAILED", what)


def read(path):
    text = path.read_text()
    data = bytes.fromhex(" ".join(line for line in text.splitlines() if not line.startswith("#")))
    return data, dict(re.findall(r"^# (\w+): (.*)$", text, re.M))


def parse(data):
    """(opcode, flags, body) of one whole frame."""
    opcode, flags, _, _, length, _, body_sum = roost.parse_header(data[:32])
    check(len(data) == 32 + length, "length")
    return opcode, flags, roost.check_body(flags, data[32:], body_sum)


def same_types(a, b):
    """Equality that tells 1 from 1.0 and from True."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_types(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same_types(x, y) for x, y in zip(a, b))
    return a == b


def error_of(data, level):
    try:
        opcode, flags, body = parse(data)
        if level == "reply":
            roost.read_reply(opcode, flags, body)
    except RoostError as error:
        return error
    return None


def check_vectors():
    for name, write in REQUESTS.items():
        data, _ = read(FOLDER / f"request-{name}.hex")
        opcode = data[5]
        writer = Writer()
        write(writer)
        stream_id = 66 if name.startswith("scan") else 0
        check(roost.frame(opcode, writer.finish(), 66, stream_id=stream_id, deadline_ms=1500) == data, f"request {name}")
    for name, expected in REPLIES.items():
        data, _ = read(FOLDER / f"reply-{name}.hex")
        check(same_types(roost.read_reply(*parse(data)), expected), f"reply {name}")
    files, size, problems, recall = roost.read_reply(*parse(read(FOLDER / "reply-verify.hex")[0]))
    check((files, size, problems[0].kind, problems[0].place) == (4, 65536, "corrupted", "segment-1 offset 4096"),
          "reply verify")
    check((recall["queries"], recall["recall"], recall["advice"]) == (200, 0.75, "more effort"), "reply verify: recall")
    error = error_of(read(FOLDER / "reply-error.hex")[0], "reply")
    check((error.kind, error.message, error.retry_after_ms) == ("overloaded", "too many searches", 50), "reply error")
    check(error_of(read(FOLDER / "connection-error.hex")[0], "reply").kind == "protocolViolation", "connection error")
    _, _, body = parse(read(FOLDER / "request-publish-module-compressed.hex")[0])
    writer = Writer()
    roost.write_publish(writer, "zeros", bytes(4096))
    check(body == writer.finish(), "compressed request")
    check(roost.frame(3, b"", 66) == read(FOLDER / "control-cancel.hex")[0], "cancel")
    check(roost.frame(4, b"\0\0\1\0", 66, stream_id=66) == read(FOLDER / "control-credit.hex")[0], "credit")
    check(roost.frame(5, b"", 0, flags=roost.REPLY) == read(FOLDER / "control-go-away.hex")[0], "go away")
    seen = {f"request-{name}" for name in REQUESTS} | {f"reply-{name}" for name in REPLIES}
    seen |= {"reply-verify", "reply-error", "connection-error", "request-publish-module-compressed", "control-cancel",
             "control-credit", "control-go-away"}
    for path in FOLDER.glob("*.hex"):
        check(path.stem in seen, f"nothing here reads {path.name}")
    for path in (FOLDER / "malformed").glob("*.hex"):
        data, notes = read(path)
        if notes["level"] in ("frame", "reply"):
            error = error_of(data, notes["level"])
            check(error is not None and error.kind == notes["error"].split()[0], f"malformed {path.stem}: {error}")


def check_flips():
    """No flipped bit and no cut of a reply goes unnoticed."""
    data, _ = read(FOLDER / "reply-get.hex")
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        check(error_of(bytes(changed), "reply") is not None, f"flipped bit {bit}")
    _, flags, body = parse(data)
    for count in range(len(body)):
        try:
            roost.read_reply(0x22, flags, body[:count])
            check(False, f"cut to {count}")
        except RoostError:
            pass


def check_node(address):
    host, port = address.rsplit(":", 1)
    name = "python-check"
    with roost.Client(host, int(port)) as node:
        node.ping()
        if any(collection["name"] == name for collection in node.list()):
            node.drop(name)
        node.create(name, 4, metric="l2")
        records = [{"id": n, "vector": [float(n), 0, 0, 1], "payload": {"n": n, "even": n % 2 == 0}} for n in range(3000)]
        for start in range(0, 3000, 1000):
            check(len(node.put(name, records[start:start + 1000])) == 1000, "put")
        check(node.count(name) == 3000, "count")
        check(node.count(name, ("=", "even", True)) == 1500, "count with a filter")
        check(node.count(name, ("and", ("has-id", [1, 2, 4]), ("=", "even", True))) == 2, "count by id")
        hits = node.search(name, vector=[10.2, 0, 0, 1], k=3)
        check([hit["id"] for hit in hits] == [10, 11, 9], f"search {hits}")
        many = node.search_many(name, [{"id": n, "k": 2, "exact": True} for n in range(1, 100)])
        check(all({hit["id"] for hit in hits} == {n - 1, n + 1} for n, hits in enumerate(many, 1)), "batch search")
        plan = node.explain(name, id=7, k=3, filter=("=", "even", True))
        check(sum(source["rows"] for source in plan["sources"]) == 3000, f"explain {plan}")
        hits = node.search(name, vector=[10.2, 0, 0, 1], radius=1.5)
        check({hit["id"] for hit in hits} == {9, 10, 11}, f"range search {hits}")
        hits = node.search(name, vector=[10.2, 0, 0, 1], group_by="even", k=2, group_size=2)
        check([(hit["id"], hit["group"]) for hit in hits] == [(10, True), (12, True), (11, False), (9, False)],
              f"groups {hits}")
        hits = node.search(name, positive=[20, 22], negative=[23], k=1)
        check([hit["id"] for hit in hits] == [19], f"recommend {hits}")
        hits = node.search(name, id=10, k=2, exclude=[9, 11], exact=True)
        check({hit["id"] for hit in hits} == {8, 12}, f"exclusion {hits}")
        hits = node.search(name, id=0, k=2, diversity=1, candidates=2000, exact=True)
        check([hit["id"] for hit in hits] == [1, 2000], f"diversity {hits}")
        check(node.get(name, [5, "nobody"])[0]["vector"].values == [5, 0, 0, 1], "get")
        check(node.delete(name, [5, 6, 10_000]) == 2, "delete")
        check([record["id"] for record in node.scan(name)] == [n for n in range(3000) if n not in (5, 6)], "scan")
        check(node.stats(name)["records"] == 2998, "stats")
        answers = node.facet(name, [("values", "even", 5), ("numbers", "n", 1000)], ("range", "n", (">=", 100), None))
        check(answers["matched"] == 2900 and answers["answers"][0]["top"] == [(False, 1450), (True, 1450)],
              f"facet {answers}")
        check(answers["answers"][1]["histogram"] == [(0.0, 900), (1000.0, 1000), (2000.0, 1000)], f"facet {answers}")
        seen, after = [], None
        while len(seen) < 2000:
            records, after = node.scan_page(name, after, 700, order_by="n", descending=True, with_vector=False)
            seen += [record["id"] for record in records]
        check(seen[:2000] == list(range(2999, 999, -1)), "ordered scan")
        check([r["id"] for r in node.scan(name, limit=3, order_by="even")] == [1, 3, 7], "scan ordered by a bool")
        node.flush(name)
        check(node.verify(name)[2] == [], "verify")
        try:
            node.put(name, [{"id": 1, "vector": [1.0]}])
            check(False, "a wrong dimension was taken")
        except RoostError as error:
            check(error.kind == "invalidArgument", f"wrong dimension: {error}")
        node.drop(name)
        node.create(name, vectors={"title": {"dimension": 2, "metric": "cosine"},
                                   "bits": {"dimension": 16, "element": "binary"},
                                   "half": {"dimension": 2, "element": "f16"}})
        node.put(name, [{"id": 1, "vectors": {"title": [3.0, 4.0], "bits": BITS}},
                        {"id": 2, "vector": [1.0, 0.0], "vectors": {"half": [0.5, 2.0]}}])
        check(node.get(name, [1])[0]["vectors"]["bits"] == BITS, "named vectors")
        check(node.get(name, [2])[0]["vectors"]["half"] == Vector([0.5, 2.0], "f16"), "rounded to f16")
        check([hit["id"] for hit in node.search(name, vector=BITS, using="bits")] == [1], "search by name")
        check([hit["id"] for hit in node.search(name, vector=[1.0, 0.0])] == [2, 1], "search in the first")
        node.drop(name)


check(roost.crc32c(b"123456789") == 0xE3069283, "CRC-32C of RFC 3720")
check_vectors()
check_flips()
if len(sys.argv) > 1:
    check_node(sys.argv[1])
print("all golden vectors hold" if not failures else f"{failures} checks failed")
sys.exit(1 if failures else 0)
