"""Files of big-ann-benchmarks: u32 rows, u32 dimension, rows; ground truth: ids, then distances."""

import json
import os

import numpy

from environment import CACHE

DATASETS = os.path.join(CACHE, "datasets")
ELEMENTS = {".fbin": numpy.float32, ".u8bin": numpy.uint8, ".i8bin": numpy.int8}


def write_vectors(path, rows):
    with open(path + ".partial", "wb") as file:
        numpy.array(rows.shape, dtype="<u4").tofile(file)
        rows.tofile(file)
    os.rename(path + ".partial", path)


def map_vectors(path):
    """The rows of a file as they are, mapped."""
    count, dimension = numpy.fromfile(path, dtype="<u4", count=2)
    element = ELEMENTS[os.path.splitext(path)[1]]
    return numpy.memmap(path, dtype=element, mode="r", offset=8, shape=(int(count), int(dimension)))


def write_truth(path, ids, distances):
    with open(path + ".partial", "wb") as file:
        numpy.array(ids.shape, dtype="<u4").tofile(file)
        ids.astype("<u4").tofile(file)
        distances.astype("<f4").tofile(file)
    os.rename(path + ".partial", path)


def read_truth(path):
    """The ids of the true neighbours, nearest first: [queries × k]."""
    count, k = (int(number) for number in numpy.fromfile(path, dtype="<u4", count=2))
    return numpy.fromfile(path, dtype="<u4", offset=8, count=count * k).reshape(count, k)


def exact_neighbours(base, queries, metric, k=100):
    """Ids and distances of the k nearest of each query; distances are squared (l2) or 1 - cosine."""
    queries = numpy.asarray(queries, dtype=numpy.float32)
    best_ids = numpy.empty((len(queries), 0), dtype=numpy.int64)
    best = numpy.empty((len(queries), 0), dtype=numpy.float32)
    for first in range(0, len(base), 50_000):
        rows = numpy.asarray(base[first : first + 50_000], dtype=numpy.float32)
        products = queries @ rows.T
        if metric == "l2":
            distances = (queries**2).sum(1)[:, None] + (rows**2).sum(1) - 2 * products
        else:
            distances = 1 - products / (
                numpy.linalg.norm(queries, axis=1)[:, None] * numpy.linalg.norm(rows, axis=1)
            )
        ids = numpy.broadcast_to(numpy.arange(first, first + len(rows)), distances.shape)
        ids, distances = numpy.hstack([best_ids, ids]), numpy.hstack([best, distances])
        kept = numpy.argpartition(distances, min(k, distances.shape[1]) - 1, axis=1)[:, :k]
        best_ids, best = numpy.take_along_axis(ids, kept, 1), numpy.take_along_axis(distances, kept, 1)
    order = numpy.argsort(best, axis=1, kind="stable")
    return numpy.take_along_axis(best_ids, order, 1), numpy.take_along_axis(best, order, 1)


class DataSet:
    """A folder in .cache/datasets: base, query and groundtruth files, and about.json."""

    def __init__(self, name):
        self.name, self.folder = name, os.path.join(DATASETS, name)
        with open(os.path.join(self.folder, "about.json"), encoding="utf-8") as file:
            self.about = json.load(file)
        self.metric = self.about["metric"]
        self.truth_path = os.path.join(self.folder, "groundtruth.ibin")

    def path(self, what):
        for suffix in ELEMENTS:
            path = os.path.join(self.folder, what + suffix)
            if os.path.exists(path):
                return path
        raise FileNotFoundError(f"{self.folder} has no {what} file")

    def base(self):
        return map_vectors(self.path("base"))

    def queries(self):
        return numpy.array(map_vectors(self.path("query")))

    def truth(self, k=10):
        return read_truth(self.truth_path)[:, :k]


def finish(name, about):
    """Says that a data set is complete; without about.json it is not one."""
    with open(os.path.join(DATASETS, name, "about.json"), "w", encoding="utf-8") as file:
        json.dump(about, file, indent=1)


def is_finished(name):
    return os.path.exists(os.path.join(DATASETS, name, "about.json"))
