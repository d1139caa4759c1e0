"""Values that Python has no type for."""

import struct

from .protocol import RoostError

# Code and bits of an element.
ELEMENTS = {"f32": (1, 32), "u8": (2, 8), "i8": (3, 8), "f16": (4, 16), "bf16": (5, 16), "binary": (6, 1)}
ELEMENT_NAMES = {code: name for name, (code, _) in ELEMENTS.items()}


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
