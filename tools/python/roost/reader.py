"""Takes the bodies of messages apart."""

import struct

from .protocol import RoostError
from .values import ELEMENT_NAMES, ELEMENTS, Datetime, Geo, Vector


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
