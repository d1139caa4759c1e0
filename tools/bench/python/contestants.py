"""The peers: how each is built, saved, opened and asked. One class a package, one instance a setting.

Each imports its package only when used, in a process of its own (measure.py), so one that is missing or
crashes harms no other. Vectors reach all of them as f32; cosine data is of unit length, so inner product
and l2 rank it alike and each peer gets the form that it is quickest with.
"""

import math
import os

import numpy

K = 10
EFFORTS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]


class Contestant:
    """`calls` is how the queries come when one thread is measured: "one" query a call, or "batch", all at
    once. With two threads the peer's own threads share one batch call, unless `calls` is "threads": then
    two Python threads call with one query each."""

    calls, parameters, package = "one", EFFORTS, None
    rows_max = 300_000  # more would take this one more than a few minutes on two cores

    def __init__(self, name):
        self.name = name

    def wants(self, data):
        """Whether it takes part on this data set; what takes too long to build does not."""
        return len(data.base()) <= self.rows_max


class Hnswlib(Contestant):
    package = "hnswlib"

    def _index(self, data):
        import hnswlib

        return hnswlib.Index(space="l2" if data.metric == "l2" else "ip", dim=data.base().shape[1])

    def build(self, data, rows, folder):
        index = self._index(data)
        index.init_index(max_elements=len(rows), M=16, ef_construction=200)
        index.add_items(rows, num_threads=2)
        index.save_index(os.path.join(folder, "index"))

    def open(self, data, folder, threads):
        self.index = self._index(data)
        self.index.load_index(os.path.join(folder, "index"))
        self.index.set_num_threads(threads)

    def set(self, parameter):
        self.index.set_ef(parameter)

    def one(self, query):
        return self.index.knn_query(query, K)[0][0]

    def batch(self, queries):
        return self.index.knn_query(queries, K)[0]


class Usearch(Contestant):
    package = "usearch"

    def __init__(self, name, element):
        super().__init__(name)
        self.element = element

    def _index(self, data):
        from usearch.index import Index

        return Index(
            ndim=data.base().shape[1],
            metric="l2sq" if data.metric == "l2" else "ip",
            dtype=self.element,
            connectivity=16,
            expansion_add=128,
        )

    def _coded(self, rows, data):
        # Its own cast to i8 takes values for lengths of at most 1; scaled here, all 127 steps are used.
        if self.element != "i8":
            return rows
        scale = 127 / float(numpy.abs(data.base()[:10_000]).max())
        return numpy.clip(numpy.round(rows * scale), -127, 127).astype(numpy.int8)

    def build(self, data, rows, folder):
        index = self._index(data)
        index.add(numpy.arange(len(rows)), self._coded(rows, data), threads=2)
        index.save(os.path.join(folder, "index"))

    def open(self, data, folder, threads):
        self.index, self.data, self.threads = self._index(data), data, threads
        self.index.load(os.path.join(folder, "index"))

    def prepare(self, queries):
        return self._coded(queries, self.data)

    def set(self, parameter):
        self.index.expansion_search = parameter

    def one(self, query):
        return self.index.search(query, K).keys

    def batch(self, queries):
        return self.index.search(queries, K, threads=self.threads).keys


class Faiss(Contestant):
    package = "faiss-cpu"
    rows_max = 100_000_000

    def _metric(self, data):
        import faiss

        return faiss.METRIC_L2 if data.metric == "l2" else faiss.METRIC_INNER_PRODUCT

    def open(self, data, folder, threads):
        import faiss

        self.index = faiss.read_index(os.path.join(folder, "index"))
        faiss.omp_set_num_threads(threads)

    def one(self, query):
        return self.index.search(query[None], K)[1][0]

    def batch(self, queries):
        return self.index.search(queries, K)[1]


class FaissHNSW(Faiss):
    def build(self, data, rows, folder):
        import faiss

        faiss.omp_set_num_threads(2)
        index = faiss.index_factory(rows.shape[1], "HNSW16", self._metric(data))
        index.add(rows)
        faiss.write_index(index, os.path.join(folder, "index"))

    def set(self, parameter):
        self.index.hnsw.efSearch = parameter


class FaissIVF(Faiss):
    """Inverted lists with 4-bit product codes of 2 dimensions each (FastScan), refined by the vectors."""

    calls = "batch"
    parameters = [
        f"nprobe={nprobe},refine={refine}"
        for nprobe, refines in [
            (4, [4]),
            (8, [4, 8]),
            (16, [4, 8, 16]),
            (32, [8, 16]),
            (64, [8, 16, 32]),
            (128, [32]),
        ]
        for refine in refines
    ]

    def build(self, data, rows, folder):
        import faiss

        faiss.omp_set_num_threads(2)
        lists = 1 << round(math.log2(2 * math.sqrt(len(rows))))
        index = faiss.index_factory(
            rows.shape[1], f"IVF{lists},PQ{rows.shape[1] // 2}x4fs,RFlat", self._metric(data)
        )
        index.train(rows[:: max(1, len(rows) // 200_000)])
        index.add(rows)
        faiss.write_index(index, os.path.join(folder, "index"))

    def set(self, parameter):
        import faiss

        nprobe, refine = (int(part.partition("=")[2]) for part in parameter.split(","))
        faiss.downcast_index(self.index.base_index).nprobe = nprobe
        self.index.k_factor = refine


class Svs(Contestant):
    """Its compressed forms, LVQ and LeanVec, run on Intel's processors only."""

    package = "scalable-vs"

    def build(self, data, rows, folder):
        import svs

        l2 = data.metric == "l2"
        parameters = svs.VamanaBuildParameters(
            alpha=1.2 if l2 else 0.95, graph_max_degree=32, window_size=200
        )
        index = svs.Vamana.build(
            parameters, rows, svs.DistanceType.L2 if l2 else svs.DistanceType.MIP, num_threads=2
        )
        index.save(*(os.path.join(folder, part) for part in ("config", "graph", "data")))

    def open(self, data, folder, threads):
        import svs

        self.index = svs.Vamana(
            os.path.join(folder, "config"),
            svs.GraphLoader(os.path.join(folder, "graph")),
            svs.VectorDataLoader(os.path.join(folder, "data"), svs.DataType.float32),
            svs.DistanceType.L2 if data.metric == "l2" else svs.DistanceType.MIP,
            num_threads=threads,
        )

    def set(self, parameter):
        self.index.search_window_size = parameter

    def one(self, query):
        return self.index.search(query, K)[0][0]

    def batch(self, queries):
        return self.index.search(queries, K)[0]


class QdrantEdge(Contestant):
    package = "qdrant-edge-py"
    calls = "threads"

    def __init__(self, name, quantized):
        super().__init__(name)
        self.quantized, self.shard = quantized, None

    def build(self, data, rows, folder):
        import qdrant_edge as q

        distance = q.Distance.Euclid if data.metric == "l2" else q.Distance.Dot
        scalar = q.ScalarQuantizationConfig(q.ScalarType.Int8, quantile=0.99, always_ram=True)
        config = q.EdgeConfig(
            vectors=q.EdgeVectorParams(rows.shape[1], distance),
            hnsw_config=q.HnswIndexConfig(
                m=16, ef_construct=128, full_scan_threshold=1000, max_indexing_threads=2
            ),
            quantization_config=scalar if self.quantized else None,
            optimizers=q.EdgeOptimizersConfig(
                default_segment_number=1, max_segment_size=100_000_000, indexing_threshold=1000
            ),
        )
        shard = q.EdgeShard.create(os.path.join(folder, "shard"), config)
        for first in range(0, len(rows), 1000):
            batch = rows[first : first + 1000]
            shard.update(
                q.UpdateOperation.upsert_points(
                    [q.Point(first + index, row) for index, row in enumerate(batch.tolist())]
                )
            )
        while shard.optimize():
            pass
        shard.flush()
        shard.close()

    def open(self, data, folder, threads):
        import qdrant_edge as q

        if self.shard:
            self.shard.close()  # two at a time may not have it open
        self.shard = q.EdgeShard.load(os.path.join(folder, "shard"))

    def prepare(self, queries):
        import qdrant_edge as q

        return [q.Query.Nearest(row) for row in queries.tolist()]

    def set(self, parameter):
        import qdrant_edge as q

        rescore = q.QuantizationSearchParams(rescore=True) if self.quantized else None
        self.parameters_now = q.SearchParams(hnsw_ef=parameter, quantization=rescore)

    def one(self, query):
        import qdrant_edge as q

        return [hit.id for hit in self.shard.search(q.SearchRequest(query, K, params=self.parameters_now))]


class DiskANN(Contestant):
    """From disk with O_DIRECT: a quarter of a byte of codes per dimension in memory, and `cached` of a
    hundred nodes."""

    package = "diskannpy"
    parameters = [10, 12, 16, 20, 24, 32, 48, 64, 96, 128]

    def __init__(self, name, cached):
        super().__init__(name)
        self.cached = cached

    @property
    def shared(self):
        return "diskannpy"  # the index serves all settings of the cache

    def build(self, data, rows, folder):
        import diskannpy

        code_bytes = rows.shape[1] // 4
        diskannpy.build_disk_index(
            rows,
            "l2",
            folder,
            complexity=100,
            graph_degree=64,
            search_memory_maximum=(code_bytes + 0.5) * len(rows) / 2**30,
            build_memory_maximum=8,
            num_threads=2,
            vector_dtype=numpy.float32,
        )

    def open(self, data, folder, threads):
        import diskannpy

        cached = len(data.base()) * self.cached // 100
        # Filling the cache takes as many threads as there are cores; with fewer contexts it waits for ever.
        self.index = diskannpy.StaticDiskIndex(
            folder,
            max(threads, os.cpu_count()),
            cached,
            cache_mechanism=1 if cached else 0,
            distance_metric="l2",
            vector_dtype=numpy.float32,
            dimensions=data.base().shape[1],
        )
        self.threads = threads

    def set(self, parameter):
        self.complexity = parameter

    def one(self, query):
        return self.index.search(query, K, complexity=self.complexity, beam_width=4).identifiers

    def batch(self, queries):
        return self.index.batch_search(
            queries, K, complexity=self.complexity, num_threads=self.threads, beam_width=4
        ).identifiers


PEERS = [
    Hnswlib("hnswlib M16"),
    Usearch("usearch f32", "f32"),
    Usearch("usearch i8", "i8"),
    FaissHNSW("faiss HNSW16"),
    FaissIVF("faiss IVF PQ4 refined"),
    Svs("svs f32"),
    QdrantEdge("qdrant-edge f32", False),
    QdrantEdge("qdrant-edge sq", True),
    DiskANN("diskannpy", 0),
    DiskANN("diskannpy cache 25%", 25),
]
