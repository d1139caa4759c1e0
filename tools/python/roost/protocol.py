"""The codes of the protocol, and the error that a node or this client raises."""

OPCODES = {
    "hello": 0x01, "ping": 0x02, "cancel": 0x03, "credit": 0x04, "goAway": 0x05,
    "createCollection": 0x10, "dropCollection": 0x11, "listCollections": 0x12,
    "put": 0x20, "delete": 0x21, "get": 0x22, "search": 0x23, "scan": 0x24, "count": 0x25, "facet": 0x26,
    "publishModule": 0x30, "listModules": 0x31, "inspectModule": 0x32, "changeModule": 0x33,
    "stats": 0x40, "flush": 0x41, "compact": 0x42, "verify": 0x43, "backup": 0x44,
}
KINDS = {
    1: "invalidArgument", 2: "notFound", 3: "alreadyExists", 4: "corrupted", 5: "io", 6: "noSpace",
    7: "limitExceeded", 8: "overloaded", 9: "deadlineExceeded", 10: "cancelled", 11: "unsupportedVersion",
    12: "protocolViolation", 13: "readOnly", 14: "locked", 15: "moduleFailed", 16: "unavailable",
    17: "permissionDenied", 18: "connectionClosed", 19: "internalFailure",
}
METRICS = {"l2": 1, "ip": 2, "cosine": 3, "hamming": 4}
METRIC_NAMES = {code: name for name, code in METRICS.items()}
LAYOUTS = {"fast": 1, "compact": 2}
LAYOUT_NAMES = {code: name for name, code in LAYOUTS.items()}
STRATEGIES = {"average-vector": 1, "best-score": 2}
FEATURE_STREAMS = 2
# Of a module, in the order of their codes.
CHANGES = ("pin", "unpin", "rollback", "canary", "end-canary", "promote", "delete", "grant", "quota", "state")


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
