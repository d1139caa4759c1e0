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

from .client import Client
from .protocol import KINDS, OPCODES, RoostError
from .filters import write_filter
from .frames import COMPRESSED, ERROR, MORE, REPLY, check_body, crc32c, frame, parse_header
from .reader import Reader
from .replies import read_reply
from .requests import (write_change, write_facet, write_hello, write_ids, write_point, write_publish, write_put,
                       write_query, write_scan, write_schema, write_search)
from .values import Datetime, Geo, Vector
from .writer import Writer

__all__ = ["Client", "Datetime", "Geo", "RoostError", "Vector"]
