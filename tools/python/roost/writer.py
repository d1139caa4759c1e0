"""Builds the bodies of messages."""

import struct

from .protocol import RoostError
from .filters import write_filter
from .values import ELEMENTS, Datetime, Geo, Vector


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

    def raw(self, data):
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
        """See `roost.filters`."""
        write_filter(self, test)
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
