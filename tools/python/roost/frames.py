"""Frames: a header of 32 bytes with checksums, and a body that may be packed with LZ4."""

import struct

from .protocol import RoostError

MAGIC = b"Rost"
VERSION = 1
HEADER = struct.Struct("<4sBBHIIIIII")
BODY_MAX = 64 << 20

REPLY, ERROR, MORE, COMPRESSED = 1, 2, 4, 8


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

    def length(count, at):
        """A length that goes on in the bytes at `at` when its four bits are full, and where they end."""
        if count == 15:
            while True:
                count += block[at]
                at += 1
                if block[at - 1] != 255:
                    break
        return count, at

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
            count, at = length(token >> 4, at)
            if at + count > len(block):
                raise refuse()
            out += block[at:at + count]
            at += count
            if at == len(block):
                break
            offset = block[at] | block[at + 1] << 8
            at += 2
            count, at = length(token & 15, at)
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
