"""Replies: each function reads the fixed part of one."""

import struct

from .protocol import KINDS, LAYOUT_NAMES, METRIC_NAMES, OPCODES, RoostError
from .frames import ERROR
from .reader import Reader
from .values import ELEMENT_NAMES


def read_hello(r):
    version, features, node = r.unpack("BQI")
    name = r.text()
    in_flight, body_max = r.unpack("II")
    return {"version": version, "features": features, "node": node, "server": name,
            "requests_in_flight": in_flight, "body_bytes": body_max}


def read_version(r):
    return r.unpack("QI")


def read_field(r):
    name = r.text()
    dimension, element, metric, degree, effort = r.unpack("IBBHH")
    if element not in ELEMENT_NAMES or metric not in METRIC_NAMES:
        raise RoostError("protocolViolation", "unknown vector element or metric", "message")
    return name, {"dimension": dimension, "element": ELEMENT_NAMES[element], "metric": METRIC_NAMES[metric],
                  "degree": degree, "build_effort": effort}


def read_schema(r):
    """As write_schema takes it: what is said of an unnamed vector stands by itself, named ones in `vectors`."""
    fields = dict(r.list(lambda: read_field(r)))
    schema = fields.pop("", {})
    if fields:
        schema["vectors"] = fields
    layout, recall = r.unpack("BH")
    if layout not in LAYOUT_NAMES:
        raise RoostError("protocolViolation", "unknown layout", "message")
    schema["layout"], schema["recall"] = LAYOUT_NAMES[layout], recall / 1000
    schema["embedder"] = r.optional(lambda: (r.text(), r.text(), r.text()))
    (mode,) = r.unpack("B")
    if mode > 2:
        raise RoostError("protocolViolation", f"unknown indexing {mode}", "message")
    schema["index"] = r.list(r.text) if mode == 2 else ("all", "none")[mode]
    schema["transforms"] = r.list(lambda: (r.text(), r.payload()))
    return schema


def read_vectors(r):
    """(the unnamed vector or None, the named ones)"""
    vectors = dict(r.list(lambda: (r.text(), r.vector())))
    return vectors.pop("", None), vectors


def read_record(r):
    identity, version, payload = r.id(), read_version(r), r.payload()
    vector, vectors = read_vectors(r)
    return {"id": identity, "version": version, "payload": payload, "vector": vector, "vectors": vectors}


def read_hit(r):
    hit = {"id": r.id(), "distance": r.unpack("f")[0]}
    flags = r.u8()
    if flags > 15:
        raise RoostError("protocolViolation", "unknown hit flags", "message")
    hit["payload"] = r.payload() if flags & 1 else None
    hit["vector"] = r.vector() if flags & 2 else None
    hit["group"] = r.value() if flags & 4 else None
    hit["score"] = r.unpack("f")[0] if flags & 8 else None
    return hit


def read_search(r):
    first = r.unpack("I")[0]
    hits = r.list(lambda: r.list(lambda: read_hit(r)))
    modules = r.list(lambda: (r.text(), r.unpack("I")[0], r.text()))
    answered, total = r.unpack("II")
    explanations = r.list(lambda: r.optional(lambda: read_explanation(r)))
    if explanations and len(explanations) != len(hits):
        raise RoostError("protocolViolation", "explanations do not match the answers", "message")
    return {"first": first, "hits": hits, "modules": modules, "shards_answered": answered, "shards": total,
            "explanations": explanations}


METHODS = ("nothing", "scan", "indexed-scan", "filtered-graph", "graph", "coded-scan")
EVIDENCE = ("unfiltered", "indexed", "indexed-and-sampled", "sampled")


def read_explanation(r):
    def source():
        name, rows, method, evidence = r.text(), r.varint(), r.u8(), r.u8()
        if method >= len(METHODS) or evidence >= len(EVIDENCE):
            raise RoostError("protocolViolation", "unknown method or evidence of a search", "message")
        passing, effort = r.varint(), r.varint()
        scan_cost, walk_cost = r.unpack("ff")
        return {"name": name, "rows": rows, "method": METHODS[method], "evidence": EVIDENCE[evidence],
                "passing": passing, "effort": effort, "scan_cost": scan_cost, "walk_cost": walk_cost,
                "rows_compared": r.varint(), "nodes_expanded": r.varint(), "pages_read": r.varint(),
                "micros": r.varint()}

    micros = r.varint()
    return {"micros": micros, "sources": r.list(source)}


def read_cursor(r):
    """The id, or in a scan ordered by a field the id and the value."""
    identity, value = r.id(), r.optional(r.value)
    return identity if value is None else (identity, value)


def read_facet(r):
    def counts():
        return r.list(lambda: (r.value(), r.unpack("Q")[0]))

    def answer():
        kind, count = r.unpack("BQ")
        if kind == 1:
            return {"distinct": count, "top": counts()}
        if kind == 2:
            return {"count": count, "least": r.optional(r.value), "greatest": r.optional(r.value),
                    "histogram": counts()}
        raise RoostError("protocolViolation", f"unknown facet answer {kind}", "message")

    return {"matched": r.unpack("Q")[0], "answers": r.list(answer)}


MODULE_KINDS = {1: "filter", 2: "embedder", 3: "scorer", 4: "transform"}


def read_module(r):
    name, version, kind = r.text(), *r.unpack("IB")
    if kind not in MODULE_KINDS:
        raise RoostError("protocolViolation", "unknown module kind", "message")
    return {"name": name, "version": version, "kind": MODULE_KINDS[kind], "bytes": r.unpack("Q")[0],
            "sha256": r.text(), "model_sha256": r.optional(r.text), "exports": r.list(r.text),
            "signer": r.optional(r.text), "published_ms": r.unpack("Q")[0], "failure": r.optional(r.text)}


def read_module_status(r):
    module = {"name": r.text(), "versions": r.list(lambda: read_module(r)), "current": r.unpack("I")[0] or None,
              "previous": r.list(lambda: r.unpack("I")[0])}
    module["canary"] = r.optional(lambda: dict(zip(("version", "percent"), r.unpack("IB"))))
    if module["canary"] and not 1 <= module["canary"]["percent"] <= 100:
        raise RoostError("protocolViolation", "a share outside 1 to 100", "message")
    module["pinned"], module["grants"] = r.flag(), r.list(r.text)
    calls, cpu = r.unpack("HB")
    module["quota"] = {"calls": calls, "cpu_percent": cpu}
    module["state"], module["metrics"] = r.payload(), r.payload()
    return module


def read_error(r):
    code = r.unpack("H")[0]
    message, place, remedy = r.text(), r.text(), r.text()
    return RoostError(KINDS.get(code, "internalFailure"), message, place, remedy)


def read_recall(r):
    queries, k, effort, recall, low, high = r.unpack("IIIddd")
    return {"queries": queries, "k": k, "effort": effort, "recall": recall, "low": low, "high": high,
            "advice": r.text()}


READERS = {
    "hello": read_hello,
    "ping": lambda r: None,
    "createCollection": lambda r: None,
    "dropCollection": lambda r: None,
    "listCollections": lambda r: r.list(
        lambda: {"name": r.text(), "schema": read_schema(r), "records": r.unpack("Q")[0]}),
    "put": lambda r: r.list(lambda: read_version(r)),
    "delete": lambda r: r.unpack("Q")[0],
    "get": lambda r: r.list(lambda: r.optional(lambda: read_record(r))),
    "search": read_search,
    "scan": lambda r: (r.list(lambda: read_record(r)), r.optional(lambda: read_cursor(r))),
    "count": lambda r: r.unpack("Q")[0],
    "facet": read_facet,
    "publishModule": read_module,
    "listModules": lambda r: r.list(lambda: read_module_status(r)),
    "inspectModule": read_module_status,
    "changeModule": lambda r: r.optional(lambda: read_module_status(r)),
    "stats": lambda r: r.payload(),
    "flush": lambda r: None,
    "compact": lambda r: None,
    "verify": lambda r: (*r.unpack("QQ"), r.list(lambda: read_error(r)), r.optional(lambda: read_recall(r))),
    "backup": lambda r: None,
}
NAMES = {code: name for name, code in OPCODES.items()}


def read_reply(opcode, flags, body):
    """The value of a reply's body; an error frame is raised."""
    reader = Reader(body)
    if flags & ERROR:
        error = read_error(reader)
        reader.finish()
        if 6 in reader.fields:
            error.retry_after_ms = struct.unpack("<I", reader.fields[6])[0]
        raise error
    name = NAMES.get(opcode)
    if name not in READERS:
        raise RoostError("protocolViolation", f"a reply of unknown opcode {opcode}", "frame header")
    value = READERS[name](reader)
    reader.finish()
    return value
