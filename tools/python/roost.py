"""A client of Roost in plain Python: the standard library and nothing else.

    from roost import Client

    with Client("127.0.0.1", 7040) as node:
        node.create("books", dimension=3, metric="cosine")
        node.put("books", [{"id": 1, "vector": [0.1, 0.2, 0.3], "payload": {"title": "A"}}])
        for hit in node.search("books", vector=[0.1, 0.2, 0.3], k=5):
            print(hit["id"], hit["distance"], hit["payload"])

It speaks version 1 of the wire protocol (spec/wire.md), one request at a time. For speed use the Swift
client; this one is here to be read, to be scripted with, and to check that the specification is enough.
"""

import os
import socket
import struct

MAGIC = b"Rost"
VERSION = 1
HEADER = struct.Struct("<4sBBHIIIIII")
BODY_MAX = 64 << 20

REPLY, ERROR, MORE, COMPRESSED = 1, 2, 4, 8

OPCODES = {
    "hello": 0x01, "ping": 0x02, "cancel": 0x03, "credit": 0x04, "goAway": 0x05,
    "createCollection": 0x10, "dropCollection": 0x11, "listCollections": 0x12,
    "put": 0x20, "delete": 0x21, "get": 0x22, "search": 0x23, "scan": 0x24, "count": 0x25,
    "publishModule": 0x30, "listModules": 0x31,
    "stats": 0x40, "flush": 0x41, "compact": 0x42, "verify": 0x43, "backup": 0x44,
}
KINDS = {
    1: "invalidArgument", 2: "notFound", 3: "alreadyExists", 4: "corrupted", 5: "io", 6: "noSpace",
    7: "limitExceeded", 8: "overloaded", 9: "deadlineExceeded", 10: "cancelled", 11: "unsupportedVersion",
    12: "protocolViolation", 13: "readOnly", 14: "locked", 15: "moduleFailed", 16: "unavailable",
    17: "permissionDenied", 18: "connectionClosed", 19: "internalFailure",
}
# Code and bits of an element.
ELEMENTS = {"f32": (1, 32), "u8": (2, 8), "i8": (3, 8), "f16": (4, 16), "bf16": (5, 16), "binary": (6, 1)}
ELEMENT_NAMES = {code: name for name, (code, _) in ELEMENTS.items()}
METRICS = {"l2": 1, "ip": 2, "cosine": 3, "hamming": 4}
METRIC_NAMES = {code: name for name, code in METRICS.items()}
LAYOUTS = {"fast": 1, "compact": 2}
LAYOUT_NAMES = {code: name for name, code in LAYOUTS.items()}
STRATEGIES = {"average-vector": 1, "best-score": 2}
FEATURE_STREAMS = 2


class RoostError(Exception):
    """An error of the node or of this client; `kind` is one of KINDS."""

    def __init__(self, kind, message, place="", remedy="", retry_after_ms=None):
        self.kind, self.message, self.place, self.remedy = kind, message, place, remedy
        self.retry_after_ms = retry_after_ms
        text = f"{kind}: {message}"
        if place:
            text += f" (at {place})"
        if remedy:
            text += f"; {remedy}"
        super().__init__(text)


# CRC-32C, eight bytes at a time ("slicing by 8").

def _tables():
    first = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        first.append(value)
    tables = [first]
    for _ in range(7):
        before = tables[-1]
        tables.append([first[value & 0xFF] ^ (value >> 8) for value in before])
    return tables


_T = _tables()


def crc32c(data):
    value = 0xFFFFFFFF
    t0, t1, t2, t3, t4, t5, t6, t7 = _T
    whole = len(data) // 8 * 8
    for low, high in struct.iter_unpack("<II", memoryview(data)[:whole]):
        low ^= value
        value = (t7[low & 0xFF] ^ t6[low >> 8 & 0xFF] ^ t5[low >> 16 & 0xFF] ^ t4[low >> 24]
                 ^ t3[high & 0xFF] ^ t2[high >> 8 & 0xFF] ^ t1[high >> 16 & 0xFF] ^ t0[high >> 24])
    for byte in data[whole:]:
        value = (value >> 8) ^ t0[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


# Values that Python has no type for.

class Geo(tuple):
    """Latitude and longitude in degrees."""

    def __new__(cls, latitude, longitude):
        return super().__new__(cls, (float(latitude), float(longitude)))


class Datetime(int):
    """Microseconds since 1970-01-01T00:00:00Z."""


class Vector:
    """A vector and its element type, one of ELEMENTS. The values of a binary one are 0 and 1, in a multiple of 8.

    Without a type, an array of numpy's float16, uint8 or int8 (or of ml_dtypes' bfloat16) keeps its own, anything
    else is f32. A node rounds f32 to f16 or bf16 where a collection holds these."""

    def __init__(self, values, element=None):
        kinds = {"float16": "f16", "bfloat16": "bf16", "uint8": "u8", "int8": "i8"}
        self.element = element or kinds.get(getattr(getattr(values, "dtype", None), "name", None), "f32")
        self.values = values.tolist() if hasattr(values, "tolist") else list(values)

    def numpy(self):
        """The vector as an array of numpy; bf16 as float32, bits as uint8."""
        import numpy
        kinds = {"f16": "float16", "u8": "uint8", "i8": "int8", "binary": "uint8"}
        return numpy.array(self.values, dtype=kinds.get(self.element, "float32"))

    def encode(self):
        """The elements as bytes."""
        if self.element == "binary":
            if len(self.values) % 8 or any(bit not in (0, 1) for bit in self.values):
                raise RoostError("invalidArgument", "a binary vector is 0s and 1s in a multiple of 8", "vector")
            bits = "".join("1" if bit else "0" for bit in self.values)
            return int(bits or "0", 2).to_bytes(len(bits) // 8, "big")
        if self.element == "bf16":
            return b"".join(_bf16(value) for value in self.values)
        form = {"f32": "f", "u8": "B", "i8": "b", "f16": "e"}[self.element]
        try:
            return struct.pack(f"<{len(self.values)}{form}", *self.values)
        except (OverflowError, struct.error) as error:
            raise RoostError("invalidArgument", f"a value does not fit {self.element}: {error}", "vector") from None

    @classmethod
    def decode(cls, element, data):
        if element == "binary":
            return cls([byte >> 7 - bit & 1 for byte in data for bit in range(8)], element)
        if element == "bf16":
            wide = b"".join(b"\0\0" + data[at:at + 2] for at in range(0, len(data), 2))
            return cls(struct.unpack(f"<{len(wide) // 4}f", wide), element)
        form, size = {"f32": ("f", 4), "u8": ("B", 1), "i8": ("b", 1), "f16": ("e", 2)}[element]
        return cls(struct.unpack(f"<{len(data) // size}{form}", data), element)

    def __eq__(self, other):
        return isinstance(other, Vector) and (self.element, self.values) == (other.element, other.values)

    def __repr__(self):
        return f"Vector({self.values!r}, {self.element!r})"


def _bf16(value):
    """The nearest bf16; of two as near, the even one."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return struct.pack("<H", (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


# Frames.

def frame(opcode, body, request_id, flags=0, stream_id=0, deadline_ms=0):
    head = HEADER.pack(MAGIC, VERSION, opcode, flags, request_id, stream_id, len(body), deadline_ms,
                       crc32c(body), 0)[:28]
    return head + struct.pack("<I", crc32c(head)) + body


def parse_header(head):
    """(opcode, flags, request id, stream id, body length, deadline, body checksum) of 32 checked bytes."""
    magic, version, opcode, flags, request_id, stream_id, length, deadline, body_sum, head_sum = \
        HEADER.unpack(head)
    if magic != MAGIC:
        raise RoostError("protocolViolation", "the bytes do not begin with a Roost frame", "frame header")
    if head_sum != crc32c(head[:28]):
        raise RoostError("corrupted", "the checksum of a frame header does not match", "frame header")
    if version != VERSION:
        raise RoostError("unsupportedVersion", f"frame of protocol version {version}", "frame header")
    if flags & ~(REPLY | ERROR | MORE | COMPRESSED):
        raise RoostError("protocolViolation", f"unknown frame flags {flags}", "frame header")
    if length > BODY_MAX:
        raise RoostError("limitExceeded", f"frame body of {length} bytes", "frame header")
    return opcode, flags, request_id, stream_id, length, deadline, body_sum


def check_body(flags, body, body_sum):
    """The body, unpacked if need be."""
    if crc32c(body) != body_sum:
        raise RoostError("corrupted", "the checksum of a frame body does not match", "frame body")
    return unpack_body(body) if flags & COMPRESSED else body


def unpack_body(body):
    def refuse():
        return RoostError("protocolViolation", "a compressed body is not an LZ4 block", "frame body")

    if len(body) < 4:
        raise refuse()
    raw_length = struct.unpack_from("<I", body)[0]
    if raw_length > BODY_MAX:
        raise RoostError("limitExceeded", f"frame body of {raw_length} bytes when unpacked", "frame body")
    block = body[4:]
    if raw_length > 255 * len(block):
        raise refuse()
    out, at = bytearray(), 0
    try:
        while at < len(block):
            token = block[at]
            at += 1
            count = token >> 4
            if count == 15:
                while True:
                    count += block[at]
                    at += 1
                    if block[at - 1] != 255:
                        break
            if at + count > len(block):
                raise refuse()
            out += block[at:at + count]
            at += count
            if at == len(block):
                break
            offset = block[at] | block[at + 1] << 8
            at += 2
            count = token & 15
            if count == 15:
                while True:
                    count += block[at]
                    at += 1
                    if block[at - 1] != 255:
                        break
            count += 4
            if not 0 < offset <= len(out) or len(out) + count > raw_length:
                raise refuse()
            for _ in range(count):
                out.append(out[-offset])
    except IndexError:
        raise refuse() from None
    if len(out) != raw_length:
        raise refuse()
    return bytes(out)


# Bodies.

class Writer:
    """Builds the body of a message."""

    def __init__(self):
        self.out = bytearray(4)
        self.rows = []
        self.fields = {}

    def pack(self, form, *values):
        self.out += struct.pack("<" + form, *values)
        return self

    def varint(self, value):
        if not 0 <= value < 1 << 64:
            raise RoostError("invalidArgument", f"{value} does not fit a varint")
        while value >= 0x80:
            self.out.append(value & 0x7F | 0x80)
            value >>= 7
        self.out.append(value)
        return self

    def blob(self, data):
        self.varint(len(data))
        self.out += data
        return self

    def text(self, text):
        return self.blob(text.encode())

    def id(self, identity):
        if isinstance(identity, bool) or not isinstance(identity, (int, str)):
            raise RoostError("invalidArgument", f"{identity!r} is neither a number nor a key", "id")
        if isinstance(identity, int):
            self.out += b"\0" + identity.to_bytes(8, "big")
        else:
            key = identity.encode()
            if not 1 <= len(key) <= 64:
                raise RoostError("limitExceeded", f"key of {len(key)} bytes, 1 to 64 are allowed", "id")
            self.out += bytes([1, len(key)]) + key
        return self

    def vector(self, vector):
        if not isinstance(vector, Vector):
            vector = Vector(vector)
        self.out.append(ELEMENTS[vector.element][0])
        self.varint(len(vector.values))
        self.rows.append(vector.encode())
        return self

    def value(self, value):
        if value is None:
            self.out.append(0)
        elif value is False or value is True:
            self.out.append(2 if value else 1)
        elif isinstance(value, Datetime):
            self.pack("Bq", 8, value)
        elif isinstance(value, int):
            self.pack("Bq", 3, value)
        elif isinstance(value, float):
            self.pack("Bd", 4, value)
        elif isinstance(value, str):
            self.out.append(5)
            self.text(value)
        elif isinstance(value, (bytes, bytearray)):
            self.out.append(6)
            self.blob(value)
        elif isinstance(value, Geo):
            self.pack("Bdd", 7, *value)
        elif isinstance(value, (list, tuple)):
            self.out.append(9)
            self._sized(lambda: self.list(value, self.value))
        elif isinstance(value, dict):
            self.out.append(10)
            self._sized(lambda: self.payload(value))
        else:
            raise RoostError("invalidArgument", f"{type(value).__name__} is no payload value", "payload")
        return self

    def _sized(self, write):
        start = len(self.out)
        self.out += bytes(4)
        write()
        struct.pack_into("<I", self.out, start, len(self.out) - start - 4)

    def payload(self, fields):
        self.varint(len(fields))
        for name, value in sorted(fields.items(), key=lambda item: item[0].encode()):
            self.text(name).value(value)
        return self

    def list(self, items, write):
        self.varint(len(items))
        for item in items:
            write(item)
        return self

    def optional(self, item, write):
        self.out.append(0 if item is None else 1)
        if item is not None:
            write(item)
        return self

    def filter(self, test):
        """("=", field, value), ("in", field, values), ("range", field, lower, upper), ("exists", field),
        ("and", ...), ("or", ...), ("not", filter). A bound is None, (">=", value), (">", value), ("<=", value)
        or ("<", value)."""
        kind, *rest = test
        if kind == "=":
            self.out.append(1)
            self.text(rest[0]).value(rest[1])
        elif kind == "in":
            self.out.append(2)
            self.text(rest[0]).list(rest[1], self.value)
        elif kind == "range":
            self.out.append(3)
            self.text(rest[0])
            for bound in rest[1:3]:
                if bound is None:
                    self.out.append(0)
                else:
                    self.out.append(1 if "=" in bound[0] else 2)
                    self.value(bound[1])
        elif kind == "exists":
            self.out.append(4)
            self.text(rest[0])
        elif kind in ("and", "or"):
            self.out.append(5 if kind == "and" else 6)
            self.list(rest, self.filter)
        elif kind == "not":
            self.out.append(7)
            self.filter(rest[0])
        else:
            raise RoostError("invalidArgument", f"unknown filter {kind!r}", "filter")
        return self

    def finish(self):
        self.varint(len(self.fields))
        for tag, data in sorted(self.fields.items()):
            self.varint(tag).blob(data)
        if self.rows:
            self.out += bytes(-len(self.out) % 64)
            struct.pack_into("<I", self.out, 0, len(self.out))
            for index, row in enumerate(self.rows):
                if index:
                    self.out += bytes(-len(self.out) % 64)
                self.out += row
        return bytes(self.out)


class Reader:
    """Takes the body of a message apart; whatever does not fit is a protocolViolation."""

    def __init__(self, body):
        if len(body) < 4:
            raise self._refuse("the body is too short")
        self.body = body
        self.at = 4
        start = struct.unpack_from("<I", body)[0]
        self.has_rows = start != 0
        if self.has_rows and (start % 64 or start > len(body)):
            raise self._refuse("the vectors begin in a wrong place")
        self.end = start if self.has_rows else len(body)
        self.row_at = self.end
        self.rows_read = 0
        self.fields = {}

    @staticmethod
    def _refuse(message):
        return RoostError("protocolViolation", message, "message")

    def take(self, count):
        if count > self.end - self.at:
            raise self._refuse("the message ends too soon")
        self.at += count
        return self.body[self.at - count:self.at]

    def unpack(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def u8(self):
        return self.take(1)[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if value >> 64 or shift > 63:
                raise self._refuse("a varint is too long")
            if byte < 0x80:
                if byte == 0 and shift:
                    raise self._refuse("a varint is not minimal")
                return value
            shift += 7

    def blob(self):
        return self.take(self.varint())

    def text(self):
        try:
            return self.blob().decode()
        except UnicodeDecodeError:
            raise self._refuse("a text is not UTF-8") from None

    def flag(self):
        value = self.u8()
        if value > 1:
            raise self._refuse("a flag is neither 0 nor 1")
        return value == 1

    def list(self, read):
        count = self.varint()
        if count > self.end - self.at:
            raise self._refuse("a list is longer than its message")
        return [read() for _ in range(count)]

    def optional(self, read):
        return read() if self.flag() else None

    def id(self):
        kind = self.u8()
        if kind == 0:
            return int.from_bytes(self.take(8), "big")
        if kind != 1:
            raise self._refuse("unknown id")
        length = self.u8()
        if not 1 <= length <= 64:
            raise self._refuse("a key has 1 to 64 bytes")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise self._refuse("a key is not UTF-8") from None

    def vector(self):
        name = ELEMENT_NAMES.get(self.u8())
        if name is None:
            raise self._refuse("unknown vector element")
        dimension = self.varint()
        bits = ELEMENTS[name][1]
        if dimension * bits % 8:
            raise self._refuse("binary vectors have a multiple of 8 dimensions")
        size = dimension * bits // 8
        if self.rows_read:
            padded = self.row_at + -self.row_at % 64
            if any(self.body[self.row_at:padded]):
                raise self._refuse("padding is not zero")
            self.row_at = padded
        self.rows_read += 1
        if not self.has_rows or size > len(self.body) - self.row_at:
            raise self._refuse("a vector is cut short")
        row = self.body[self.row_at:self.row_at + size]
        self.row_at += size
        return Vector.decode(name, row)

    def value(self, depth=0):
        if depth > 8:
            raise RoostError("limitExceeded", "values nest too deep", "message")
        tag = self.u8()
        if tag == 0:
            return None
        if tag in (1, 2):
            return tag == 2
        if tag == 3:
            return self.unpack("q")[0]
        if tag == 4:
            return self.unpack("d")[0]
        if tag == 5:
            return self.text()
        if tag == 6:
            return self.blob()
        if tag == 7:
            return Geo(*self.unpack("dd"))
        if tag == 8:
            return Datetime(self.unpack("q")[0])
        if tag in (9, 10):
            end = self.unpack("I")[0] + self.at
            value = self.list(lambda: self.value(depth + 1)) if tag == 9 else self.payload(depth + 1)
            if self.at != end:
                raise self._refuse("a nested value does not end where it says")
            return value
        raise self._refuse(f"unknown value tag {tag}")

    def payload(self, depth=0):
        fields, previous = {}, None
        for _ in range(self.varint()):
            name = self.text()
            if previous is not None and name.encode() <= previous:
                raise self._refuse("fields are out of order")
            previous = name.encode()
            fields[name] = self.value(depth)
        return fields

    def finish(self):
        previous = -1
        for _ in range(self.varint()):
            tag = self.varint()
            if tag <= previous:
                raise self._refuse("trailer tags do not ascend")
            previous = tag
            data = self.blob()
            if tag in (2, 4, 6):
                if len(data) != {2: 25, 4: 16, 6: 4}[tag]:
                    raise self._refuse(f"trailer field {tag} has {len(data)} bytes")
                self.fields[tag] = data
            elif tag & 1:
                raise RoostError("unsupportedVersion", f"the message requires field {tag}", "message")
        if self.has_rows and (not self.rows_read or self.end - self.at >= 64 or any(self.body[self.at:self.end])):
            raise self._refuse("the vectors do not follow the message")
        if (not self.has_rows and self.at != self.end) or self.row_at != len(self.body):
            raise self._refuse("bytes follow the end")


# Requests: each writes its fixed part.

def write_hello(w, client_name="roost-python", features=FEATURE_STREAMS, window=4 << 20):
    w.pack("BBQQII", VERSION, VERSION, features, 0, BODY_MAX, window).text(client_name)


def write_schema(w, dimension, element="f32", metric=None, degree=32, build_effort=100, layout="fast",
                 recall=0.985, embedder=None, index="all"):
    metric = metric or ("hamming" if element == "binary" else "l2")
    w.pack("IBBHHBH", dimension, ELEMENTS[element][0], METRICS[metric], degree, build_effort, LAYOUTS[layout],
           round(recall * 1000))
    w.optional(embedder, lambda pair: w.text(pair[0]).text(pair[1]))
    if index in ("all", "none"):
        w.pack("B", 0 if index == "all" else 1)
    else:
        w.pack("B", 2).list(list(index), w.text)


def write_put(w, collection, records):
    def one(record):
        w.id(record["id"]).optional(record.get("vector"), w.vector).payload(record.get("payload") or {})

    w.text(collection).list(records, one)


def write_ids(w, collection, ids):
    w.text(collection).list(ids, w.id)


def write_point(w, point):
    """A vector (list or Vector), the id of a record (number or key), or {"text": …} for the embedder."""
    if isinstance(point, dict):
        w.pack("B", 2).text(point["text"])
    elif isinstance(point, (int, str)):
        w.pack("B", 1).id(point)
    else:
        w.pack("B", 0).vector(point)


def write_query(w, vector=None, id=None, text=None, positive=None, negative=(), strategy="average-vector", k=10,
                radius=None, limit=1000, diversity=None, candidates=None, group_by=None, group_size=1, effort=None,
                exact=False, filter=None, module=None, parameters=None, exclude=(), payload=True,
                with_vector=False, explain=False):
    """Near what: vector, id or text; or positive and negative, lists of points (see write_point), with a
    strategy of "average-vector" or "best-score".

    Which of those near: the k nearest; or with radius all within it, at most limit; or with diversity (0 to
    1, which is 1 − lambda) k of the nearest candidates that are unlike each other; or with group_by, a
    payload field, up to group_size hits for each of k values of it."""
    flags = (exact * 1 | payload * 2 | with_vector * 4 | (effort is not None) * 8 | (filter is not None) * 16
             | (module is not None) * 32 | bool(exclude) * 64 | explain * 128)
    w.pack("B", flags)
    if sum(form is not None for form in (radius, diversity, group_by)) > 1:
        raise RoostError("invalidArgument", "radius, diversity and group_by exclude each other", "search")
    if radius is not None:
        w.pack("Bf", 1, radius).varint(limit)
    elif diversity is not None:
        w.pack("B", 2).varint(k).pack("f", 1 - diversity).varint(candidates or 0)
    elif group_by is not None:
        w.pack("B", 3).text(group_by).varint(k).varint(group_size)
    else:
        w.pack("B", 0).varint(k)
    targets = [point for point in (vector, id, None if text is None else {"text": text}) if point is not None]
    if len(targets) + (positive is not None or bool(negative)) != 1:
        raise RoostError("invalidArgument", "search near one of a vector, an id, a text, or examples", "search")
    if targets:
        write_point(w, targets[0])
    else:
        w.pack("BB", 3, STRATEGIES[strategy])
        w.list(positive or [], lambda point: write_point(w, point))
        w.list(negative, lambda point: write_point(w, point))
    if effort is not None:
        w.varint(effort)
    if filter is not None:
        w.filter(filter)
    if module is not None:
        w.text(module).payload(parameters or {})
    if exclude:
        w.list(exclude, w.id)


def write_search(w, collection, queries):
    w.text(collection).list(queries, lambda query: write_query(w, **query))


def write_scan(w, collection, after=None, limit=1000, filter=None, with_vector=True):
    w.text(collection).optional(after, w.id).varint(limit).optional(filter, w.filter)
    w.pack("B", with_vector)


# Replies: each reads its fixed part.

def read_hello(r):
    version, features, node = r.unpack("BQI")
    name = r.text()
    in_flight, body_max = r.unpack("II")
    return {"version": version, "features": features, "node": node, "server": name,
            "requests_in_flight": in_flight, "body_bytes": body_max}


def read_version(r):
    return r.unpack("QI")


def read_schema(r):
    dimension, element, metric, degree, effort = r.unpack("IBBHH")
    layout, recall = r.unpack("BH")
    if element not in ELEMENT_NAMES or metric not in METRIC_NAMES or layout not in LAYOUT_NAMES:
        raise RoostError("protocolViolation", "unknown vector element, metric or layout", "message")
    embedder = r.optional(lambda: (r.text(), r.text()))
    (mode,) = r.unpack("B")
    if mode > 2:
        raise RoostError("protocolViolation", f"unknown indexing {mode}", "message")
    return {"dimension": dimension, "element": ELEMENT_NAMES[element], "metric": METRIC_NAMES[metric],
            "degree": degree, "build_effort": effort, "layout": LAYOUT_NAMES[layout], "recall": recall / 1000,
            "embedder": embedder, "index": r.list(r.text) if mode == 2 else ("all", "none")[mode]}


def read_record(r):
    identity, version, payload = r.id(), read_version(r), r.payload()
    return {"id": identity, "version": version, "payload": payload, "vector": r.optional(r.vector)}


def read_hit(r):
    hit = {"id": r.id(), "distance": r.unpack("f")[0]}
    flags = r.u8()
    if flags > 7:
        raise RoostError("protocolViolation", "unknown hit flags", "message")
    hit["payload"] = r.payload() if flags & 1 else None
    hit["vector"] = r.vector() if flags & 2 else None
    hit["group"] = r.value() if flags & 4 else None
    return hit


def read_search(r):
    first = r.unpack("I")[0]
    hits = r.list(lambda: r.list(lambda: read_hit(r)))
    modules = r.list(lambda: (r.text(), r.text()))
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


def read_module(r):
    name, kind = r.text(), r.u8()
    if kind not in (1, 2):
        raise RoostError("protocolViolation", "unknown module kind", "message")
    return {"name": name, "kind": ("filter", "embedder")[kind - 1], "bytes": r.unpack("Q")[0],
            "sha256": r.text(), "exports": r.list(r.text)}


def read_error(r):
    code = r.unpack("H")[0]
    message, place, remedy = r.text(), r.text(), r.text()
    return RoostError(KINDS.get(code, "internalFailure"), message, place, remedy)


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
    "scan": lambda r: (r.list(lambda: read_record(r)), r.optional(r.id)),
    "count": lambda r: r.unpack("Q")[0],
    "publishModule": read_module,
    "listModules": lambda r: r.list(lambda: read_module(r)),
    "stats": lambda r: r.payload(),
    "flush": lambda r: None,
    "compact": lambda r: None,
    "verify": lambda r: (*r.unpack("QQ"), r.list(lambda: read_error(r))),
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

    def create(self, collection, dimension, **schema):
        """schema: element, metric, layout ("fast" or "compact"), recall (0.5 to 0.999), degree, build_effort,
        embedder=(module, source field), index="all", "none" or a list of the payload fields to index."""
        self._call("createCollection", lambda w: write_schema(w.text(collection), dimension, **schema))

    def drop(self, collection):
        self._call("dropCollection", lambda w: w.text(collection))

    def list(self):
        return self._call("listCollections")

    def put(self, collection, records):
        """records: dicts of id, vector (list or Vector, or none with an embedder) and payload."""
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
        hits = []
        for part in self._parts("search", lambda w: write_search(w, collection, queries), in_parts=True):
            hits += part["hits"]
        return hits

    def scan(self, collection, after=None, limit=(1 << 64) - 1, filter=None, with_vector=True):
        """Records in ascending order of their ids. Consume it to the end before the next call."""
        for records, _ in self._parts(
                "scan", lambda w: write_scan(w, collection, after, limit, filter, with_vector), in_parts=True):
            yield from records

    def count(self, collection, filter=None):
        return self._call("count", lambda w: w.text(collection).optional(filter, w.filter))

    def publish(self, name, module):
        return self._call("publishModule", lambda w: w.text(name).blob(module))

    def modules(self):
        return self._call("listModules")

    def stats(self, collection=None):
        return self._call("stats", lambda w: w.optional(collection, w.text))

    def flush(self, collection):
        self._call("flush", lambda w: w.text(collection))

    def compact(self, collection):
        self._call("compact", lambda w: w.text(collection))

    def verify(self, collection):
        """(files, bytes, problems)."""
        return self._call("verify", lambda w: w.text(collection))

    def backup(self, collection, directory):
        self._call("backup", lambda w: w.text(collection).text(directory))
