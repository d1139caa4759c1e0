"""A connection to a node."""

import os
import socket
import struct

from .protocol import OPCODES, RoostError
from .frames import ERROR, MORE, check_body, frame, parse_header
from .replies import read_reply
from .requests import (write_change, write_facet, write_hello, write_ids, write_publish, write_put, write_scan,
                       write_schema, write_search)
from .writer import Writer


class Client:
    """One connection to a node. Not for use by several threads at a time."""

    def __init__(self, host="127.0.0.1", port=7040, timeout=30.0):
        self.timeout = timeout
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb", 1 << 20)
        self.next_id = 1
        self.greeting = self._call("hello", write_hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def _receive(self, count):
        data = self.stream.read(count)
        if len(data) < count:
            raise RoostError("connectionClosed", "the node closed the connection")
        return data

    def _parts(self, name, write=None, fields=None, in_parts=False):
        """Sends a request; yields its reply, or the parts of it."""
        writer = Writer()
        if write:
            write(writer)
        writer.fields.update(fields or {})
        request_id, self.next_id = self.next_id, self.next_id % 0xFFFFFFFF + 1
        self.socket.sendall(frame(OPCODES[name], writer.finish(), request_id,
                                  stream_id=request_id if in_parts else 0,
                                  deadline_ms=int(self.timeout * 1000)))
        while True:
            opcode, flags, reply_to, stream_id, length, _, body_sum = parse_header(self._receive(32))
            body = check_body(flags, self._receive(length), body_sum)
            if reply_to == 0 and not flags & ERROR:
                continue  # The node is stopping; it will still answer what it has.
            if reply_to not in (0, request_id):
                continue  # The end of an earlier reply that nobody waited for.
            yield read_reply(opcode, flags, body)
            if not flags & MORE:
                return
            self.socket.sendall(frame(OPCODES["credit"], struct.pack("<I", length), request_id, stream_id=stream_id))

    def _call(self, name, write=None, fields=None):
        return next(self._parts(name, write, fields))

    def ping(self):
        self._call("ping")

    def create(self, collection, dimension=None, **schema):
        """schema: element, metric, degree, build_effort; vectors={name: {"dimension": …, "element": …, …}} for named
        vectors; layout ("fast" or "compact"), recall (0.5 to 0.999); embedder=(module, source field) or (module,
        source field, named vector); index="all", "none" or a list of the payload fields to index; transforms, modules
        that derive attributes."""
        self._call("createCollection", lambda w: write_schema(w.text(collection), dimension, **schema))

    def drop(self, collection):
        self._call("dropCollection", lambda w: w.text(collection))

    def list(self):
        return self._call("listCollections")

    def put(self, collection, records):
        """records: dicts of id, vector (list, array or Vector, or none with an embedder), vectors by name, payload,
        source (text or bytes for the embedder, not stored)."""
        return self._call("put", lambda w: write_put(w, collection, records), {4: os.urandom(16)})

    def delete(self, collection, ids):
        return self._call("delete", lambda w: write_ids(w, collection, ids), {4: os.urandom(16)})

    def get(self, collection, ids, with_vector=True):
        def write(w):
            write_ids(w, collection, ids)
            w.pack("B", with_vector)

        return self._call("get", write)

    def search(self, collection, **query):
        """One query; see write_query for its parameters. The hits, nearest first unless the form says otherwise."""
        return self.search_many(collection, [query])[0]

    def explain(self, collection, **query):
        """How one query is answered: {"micros", "sources": [{"method", "evidence", "passing", ...}]}."""
        queries = [{**query, "explain": True}]
        parts = list(self._parts("search", lambda w: write_search(w, collection, queries), in_parts=True))
        return parts[0]["explanations"][0]

    def search_many(self, collection, queries):
        """The hits of many queries, answered together."""
        return self.answer(collection, queries)["hits"]

    def answer(self, collection, queries):
        """Many queries, answered together: {"hits": for each query, "modules": [(name, version, SHA-256)] that served,
        "shards_answered", "shards"}."""
        answer = {"hits": [], "modules": []}
        for part in self._parts("search", lambda w: write_search(w, collection, queries), in_parts=True):
            answer["hits"] += part["hits"]
            answer["modules"] += [module for module in part["modules"] if module not in answer["modules"]]
            answer["shards_answered"], answer["shards"] = part["shards_answered"], part["shards"]
        return answer

    def scan(self, collection, after=None, limit=(1 << 64) - 1, **options):
        """Records in ascending order of their ids, or of a field (order_by="year", descending=True); see
        write_scan for the options. Consume it to the end before the next call."""
        for records, _ in self._parts(
                "scan", lambda w: write_scan(w, collection, after, limit, **options), in_parts=True):
            yield from records

    def scan_page(self, collection, after=None, limit=1000, **options):
        """One page of a scan and where to go on (`after`), None at the end: ([records], next)."""
        records, cursor = self._call("scan", lambda w: write_scan(w, collection, after, limit, **options))
        ordered = options.get("order_by") is not None
        return records, (cursor, None) if ordered and cursor is not None and type(cursor) is not tuple else cursor

    def count(self, collection, filter=None):
        return self._call("count", lambda w: w.text(collection).optional(filter, w.filter))

    def facet(self, collection, facets, filter=None):
        """What the values of fields are: see write_facet for `facets`. {"matched", "answers": [...]}, where an
        answer is {"distinct", "top": [(value, count)]} or {"count", "least", "greatest", "histogram"}."""
        return self._call("facet", lambda w: write_facet(w, collection, facets, filter))

    def publish(self, name, module, **placement):
        """See write_publish: signature, staged, canary."""
        return self._call("publishModule", lambda w: write_publish(w, name, module, **placement))

    def modules(self):
        return self._call("listModules")

    def inspect(self, name):
        """A module with its versions, what it may use, and its figures."""
        return self._call("inspectModule", lambda w: w.text(name))

    def change(self, name, change, **arguments):
        """Changes which versions of a module serve, or what it may use; see write_change."""
        return self._call("changeModule", lambda w: write_change(w, name, change, **arguments))

    def stats(self, collection=None):
        return self._call("stats", lambda w: w.optional(collection, w.text))

    def flush(self, collection):
        self._call("flush", lambda w: w.text(collection))

    def compact(self, collection):
        self._call("compact", lambda w: w.text(collection))

    def verify(self, collection, recall_samples=0):
        """(files, bytes, problems, recall): with samples, recall@10 of so many stored vectors, else None."""
        return self._call("verify", lambda w: w.text(collection).varint(recall_samples))

    def backup(self, collection, directory):
        self._call("backup", lambda w: w.text(collection).text(directory))
