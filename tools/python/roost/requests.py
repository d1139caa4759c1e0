"""Requests: each function writes the fixed part of one."""

from .protocol import CHANGES, FEATURE_STREAMS, LAYOUTS, METRICS, STRATEGIES, RoostError
from .frames import BODY_MAX, VERSION
from .values import ELEMENTS


def write_hello(w, client_name="roost-python", features=FEATURE_STREAMS, window=4 << 20):
    w.pack("BBQQII", VERSION, VERSION, features, 0, BODY_MAX, window).text(client_name)


def write_field(w, name, dimension, element="f32", metric=None, degree=32, build_effort=100):
    metric = metric or ("hamming" if element == "binary" else "l2")
    w.text(name).pack("IBBHH", dimension, ELEMENTS[element][0], METRICS[metric], degree, build_effort)


def write_schema(w, dimension=None, vectors=None, layout="fast", recall=0.985, embedder=None, index="all",
                 transforms=(), **field):
    """vectors: for each named vector a dict of dimension, element, metric, degree and build_effort; with a dimension,
    the first is the unnamed one that `field` says more about. transforms: names of modules, or pairs of a name and
    parameters."""
    fields = list((vectors or {}).items())
    if dimension is not None:
        fields.insert(0, ("", {"dimension": dimension, **field}))
    w.list(fields, lambda item: write_field(w, item[0], **item[1]))
    w.pack("BH", LAYOUTS[layout], round(recall * 1000))
    w.optional(embedder, lambda parts: w.text(parts[0]).text(parts[1]).text(parts[2] if len(parts) > 2 else ""))
    if index in ("all", "none"):
        w.pack("B", 0 if index == "all" else 1)
    else:
        w.pack("B", 2).list(list(index), w.text)
    pairs = [(part, {}) if isinstance(part, str) else part for part in transforms]
    w.list(pairs, lambda pair: w.text(pair[0]).payload(pair[1]))


def write_vectors(w, vectors):
    def one(item):
        w.text(item[0]).vector(item[1])

    w.list(sorted(vectors.items(), key=lambda item: item[0].encode()), one)


def write_source(w, source):
    """Text or bytes for the embedder, or None."""
    if source is None:
        w.pack("B", 0)
    elif isinstance(source, str):
        w.pack("B", 1).text(source)
    else:
        w.pack("B", 2).blob(source)


def write_put(w, collection, records):
    def one(record):
        vectors = dict(record.get("vectors") or {})
        if record.get("vector") is not None:
            vectors[""] = record["vector"]
        w.id(record["id"])
        write_vectors(w, vectors)
        w.payload(record.get("payload") or {})
        write_source(w, record.get("source"))

    w.text(collection).list(records, one)


def write_ids(w, collection, ids):
    w.text(collection).list(ids, w.id)


def write_point(w, point):
    """A vector (list or Vector), the id of a record (number or key), or {"text": …} or {"bytes": …} for the
    embedder."""
    if isinstance(point, dict) and "bytes" in point:
        w.pack("B", 4).blob(point["bytes"])
    elif isinstance(point, dict):
        w.pack("B", 2).text(point["text"])
    elif isinstance(point, (int, str)):
        w.pack("B", 1).id(point)
    else:
        w.pack("B", 0).vector(point)


def write_score(w, module, parameters=None, weight=1.0, candidates=None):
    """A scorer that orders hits by weight × score − (1 − weight) × distance, of so many candidates."""
    w.text(module).payload(parameters or {}).pack("f", weight).varint(candidates or 0)


def write_query(w, vector=None, id=None, text=None, bytes=None, positive=None, negative=(),
                strategy="average-vector", k=10, radius=None, limit=1000, diversity=None, candidates=None, group_by=None, group_size=1, effort=None,
                exact=False, filter=None, module=None, parameters=None, score=None, exclude=(), payload=True,
                with_vector=False, explain=False, using=None):
    """Near what: vector, id, text or bytes (an image or a signal for the embedder); or positive and negative, lists of points (see write_point), with a
    strategy of "average-vector" or "best-score"; `using` names the vector to search, if not the first.

    Which of those near: the k nearest; or with radius all within it, at most limit; or with diversity (0 to
    1, which is 1 − lambda) k of the nearest candidates that are unlike each other; or with group_by, a
    payload field, up to group_size hits for each of k values of it.

    score: a dict of module, parameters, weight and candidates; see write_score."""
    flags = (exact * 1 | payload * 2 | with_vector * 4 | (effort is not None) * 8 | (filter is not None) * 16
             | (module is not None) * 32 | bool(exclude) * 64 | explain * 128 | bool(using) * 256 | (score is not None) * 512)
    w.pack("H", flags)
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
    sources = [{name: source} for name, source in (("text", text), ("bytes", bytes)) if source is not None]
    targets = [point for point in (vector, id, *sources) if point is not None]
    if len(targets) + (positive is not None or bool(negative)) != 1:
        raise RoostError("invalidArgument", "search near one of a vector, an id, a text, bytes, or examples", "search")
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
    if using:
        w.text(using)
    if score is not None:
        write_score(w, **score)


def write_search(w, collection, queries):
    w.text(collection).list(queries, lambda query: write_query(w, **query))


def write_scan(w, collection, after=None, limit=1000, filter=None, with_vector=True, order_by=None,
               descending=False):
    """`after` is an id; with order_by, the path of a field, it is a pair of the id and the value, or None, by
    which that record was ordered."""
    w.text(collection)
    if order_by is None:
        w.pack("B", 0)
    else:
        w.pack("B", 2 if descending else 1).text(order_by)
    if after is not None and not isinstance(after, tuple):
        after = (after, None)
    w.optional(after, lambda cursor: w.id(cursor[0]).optional(cursor[1], w.value))
    w.varint(limit).optional(filter, w.filter).pack("B", with_vector)


def write_facet(w, collection, facets, filter=None):
    """facets: ("values", path, how many), ("numbers", path, interval) and ("datetimes", path, interval in
    seconds); an interval of 0 means no histogram."""
    def one(facet):
        kind, path, number = facet
        if kind == "values":
            w.text(path).pack("B", 1).varint(number)
        elif kind in ("numbers", "datetimes"):
            w.text(path).pack("Bd", 2 if kind == "numbers" else 3, number)
        else:
            raise RoostError("invalidArgument", f"unknown facet {kind!r}", "facet")

    w.text(collection).list(facets, one).optional(filter, w.filter)


def write_publish(w, name, module, signature=None, staged=False, canary=None):
    """signature: the 32 bytes of the public key and the 64 of the signature; canary: a share of 1 to 100 percent."""
    w.text(name).blob(module)
    w.optional(signature, w.raw)
    if canary is not None:
        w.pack("BB", 2, canary)
    else:
        w.pack("B", 1 if staged else 0)


def write_change(w, name, change, version=None, percent=None, grants=(), calls=0, cpu_percent=100,
                 values=None):
    """change: "pin" (a version, or what is current), "unpin", "rollback", "canary" (a version and a percent),
    "end-canary", "promote", "delete" (a version, or all), "grant" (capabilities), "quota" (calls at a time, 0 for no
    limit, and a share of the processors) or "state" (values by key, for the key-value capability). A version is a number or 8 or more digits of a SHA-256, as text."""
    w.text(name)
    if change not in CHANGES:
        raise RoostError("invalidArgument", f"there is no change {change!r}", "change")
    w.pack("B", CHANGES.index(change))
    if change in ("pin", "delete"):
        w.optional(version, lambda version: w.text(str(version)))
    elif change == "canary":
        w.text(str(version)).pack("B", percent)
    elif change == "grant":
        w.list(list(grants), w.text)
    elif change == "quota":
        w.pack("HB", calls, cpu_percent)
    elif change == "state":
        w.payload(values or {})
