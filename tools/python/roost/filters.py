"""Filters as nested tuples, and their bytes (spec/filter.md).

    ("=", "section", "utils")                     equals
    ("in", "size", [1, 2, 3])                     one of
    ("range", "size", (">=", 10), ("<", 99.5))    between two bounds; None is no bound
    ("exists", "a.b")                             the field is there
    ("has-value", "a")                            and holds something besides null
    ("matches", "title", "small databases")       all words; a fourth item: "any", "phrase" or "prefix"
    ("within", "place", ("circle", Geo(48.2, 16.37), 5000.0))      radius in metres
    ("within", "place", ("box", Geo(47, 15), Geo(49, 17)))         south-west and north-east corner
    ("within", "place", ("polygon", [Geo(0, 0), Geo(0, 1), Geo(1, 0)]))
    ("nested", "reviews", filter)                 one map of an array satisfies the filter
    ("has-id", [1, "apple"])                      the id of the record
    ("and", filter, ...)  ("or", filter, ...)  ("not", filter)

A field is a path: dots lead into maps; a dot inside a name is written as backslash and dot.
"""

from .protocol import RoostError

MODES = {"all": 1, "any": 2, "phrase": 3, "prefix": 4}


def write_filter(w, test):
    kind, *rest = test
    if kind in ("and", "or"):
        w.pack("B", 4 if kind == "and" else 5).list(rest, w.filter)
    elif kind == "not":
        w.pack("B", 6).filter(rest[0])
    elif kind == "has-id":
        w.pack("B", 3).list(rest[0], w.id)
    elif kind == "nested":
        w.pack("B", 2).text(rest[0]).filter(rest[1])
    else:
        path, *rest = rest
        w.pack("B", 1).text(path)
        _write_predicate(w, kind, rest)


def _write_predicate(w, kind, rest):
    if kind == "exists":
        w.pack("B", 1)
    elif kind == "has-value":
        w.pack("B", 2)
    elif kind == "=":
        w.pack("B", 3).value(rest[0])
    elif kind == "in":
        w.pack("B", 4).list(rest[0], w.value)
    elif kind == "range":
        w.pack("B", 5)
        for bound in rest[:2]:
            if bound is None:
                w.pack("B", 0)
            else:
                w.pack("B", 1 if "=" in bound[0] else 2).value(bound[1])
    elif kind == "matches":
        mode = rest[1] if len(rest) > 1 else "all"
        if mode not in MODES:
            raise RoostError("invalidArgument", f"unknown mode {mode!r}; all, any, phrase or prefix", "filter")
        w.pack("BB", 6, MODES[mode]).text(rest[0])
    elif kind == "within":
        _write_area(w, *rest[0])
    else:
        raise RoostError("invalidArgument", f"unknown filter {kind!r}", "filter")


def _write_area(w, kind, *rest):
    if kind == "circle":
        w.pack("Bddd", 7, *rest[0], rest[1])
    elif kind == "box":
        w.pack("Bdddd", 8, *rest[0], *rest[1])
    elif kind == "polygon":
        w.pack("B", 9).list(rest[0], lambda point: w.pack("dd", *point))
    else:
        raise RoostError("invalidArgument", f"unknown area {kind!r}; circle, box or polygon", "filter")
