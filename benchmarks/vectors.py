"""Vector indexes side by side: recall, latency, size and time to build.

``python -m benchmarks.vectors --vectors FILE.npy`` prints a Markdown table. The file holds unit
vectors (rows, dimension), float16; ``--queries`` names another of the same kind, without it the
last rows of the first are set aside as questions. ``--random N`` needs no file. ``--grow N`` makes
N vectors of the given ones: each new one lies between a vector and one of its nearest, with noise.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexes import ann

Matrix = NDArray[np.float16]
Search = Callable[[NDArray[np.float32], int, int], NDArray[np.int64]]
"""Query, how many, lists to probe: ids, best first."""

K = 10
_KINDS = ("SQfp16", "SQ8", "RaBitQ", "RaBitQ4", "RaBitQfs", "RaBitQfs2", "RaBitQfs4")
_DEPTHS = (50, 200, 1000)
_HELD_OUT = 500
HEADER = (
    "| index | lists | probes | re-ranked | recall@10 | p50 ms | p95 ms "
    "| CPU p95 ms | MB | train s | add s |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Built:
    """An index that is ready: how it may be asked, its size in bytes, and the seconds it took."""

    name: str
    lists: int
    probes: tuple[int, ...]
    depths: tuple[int, ...]
    size: int
    train: float
    add: float
    search: Search


def random_vectors(rows: int, dimension: int, seed: int = 0) -> Matrix:
    """Unit vectors around random centres, with as much spread as passages on one topic have."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, rows // 50), dimension), np.float32)
    out = np.empty((rows, dimension), np.float16)
    for start in range(0, rows, 50_000):
        part = slice(start, min(rows, start + 50_000))
        near = centres[random.integers(len(centres), size=part.stop - start)]
        out[part] = _unit(near + random.standard_normal(near.shape, np.float32))
    return out


def grow(vectors: Matrix, rows: int, seed: int = 0) -> Matrix:
    """``rows`` vectors: the given ones, then mixtures of each with one of its ten nearest among
    500 others, plus noise of a tenth of the length."""
    random = np.random.default_rng(seed)
    out = np.empty((rows, vectors.shape[1]), np.float16)
    out[: len(vectors)] = vectors[:rows]
    for start in range(len(vectors), rows, 2_000):
        take = min(2_000, rows - start)
        base = vectors[random.integers(len(vectors), size=take)].astype(np.float32)
        pool = vectors[random.integers(len(vectors), size=500)].astype(np.float32)
        near = np.argpartition(-(base @ pool.T), K, axis=1)[:, :K]
        other = pool[near[np.arange(take), random.integers(K, size=take)]]
        share = random.uniform(0.3, 0.7, (take, 1)).astype(np.float32)
        noise = random.standard_normal(base.shape, np.float32) * (0.1 / base.shape[1] ** 0.5)
        out[start : start + take] = _unit(share * base + (1 - share) * other + noise)
    return out


def nearest(vectors: Matrix, queries: Matrix, k: int = K) -> NDArray[np.int64]:
    """The ids of the true ``k`` nearest of each query (queries, k), by brute force."""
    asked = queries.astype(np.float32)
    scores = np.empty((len(queries), 0), np.float32)
    found = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(vectors), 20_000):
        part = asked @ vectors[start : start + 20_000].astype(np.float32).T
        numbers = np.broadcast_to(np.arange(start, start + part.shape[1]), part.shape)
        scores = np.concatenate([scores, part], axis=1)
        found = np.concatenate([found, numbers], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(scores, best, axis=1)
        found = np.take_along_axis(found, best, axis=1)
    return found


def build(kind: str, lists: int, vectors: Matrix, probes: Sequence[int]) -> Built:
    """An index by FAISS's factory: ``kind`` in ``lists`` inverted lists, or flat where 0."""
    import faiss

    dimension = vectors.shape[1]
    name = f"IVF{lists},{kind}" if lists else f"IDMap2,{kind}"
    index = faiss.index_factory(dimension, name, faiss.METRIC_INNER_PRODUCT)
    # RaBitQ presumes that no direction is special, which a rotation brings about.
    turn = _rotation(dimension) if "RaBitQ" in kind else np.eye(dimension, dtype=np.float32)
    random = np.random.default_rng(0)
    rows = np.sort(random.permutation(len(vectors))[: max(20_000, 40 * lists)])
    begun = time.perf_counter()
    index.train(vectors[rows].astype(np.float32) @ turn)
    trained = time.perf_counter()
    for start in range(0, len(vectors), 16_384):
        part = vectors[start : start + 16_384].astype(np.float32) @ turn
        index.add_with_ids(part, np.arange(start, start + len(part)))
    added = time.perf_counter()

    def search(query: NDArray[np.float32], k: int, probe: int) -> NDArray[np.int64]:
        asked: Any = (query @ turn)[None, :]
        how: Any = faiss.SearchParametersIVF
        found: NDArray[np.int64] = index.search(asked, k, params=how(nprobe=probe))[1][0]
        return found

    def search_flat(query: NDArray[np.float32], k: int, _: int) -> NDArray[np.int64]:
        asked: Any = (query @ turn)[None, :]
        found: NDArray[np.int64] = index.search(asked, k)[1][0]
        return found

    return Built(
        f"{'IVF ' if lists else 'flat '}{kind}",
        lists,
        tuple(p for p in probes if p <= lists) if lists else (0,),
        (),
        faiss.serialize_index(index).nbytes,
        trained - begun,
        added - trained,
        search if lists else search_flat,
    )


def build_ours(vectors: Matrix) -> Built:
    """The index that the project makes for so many vectors, with the probes it chooses."""
    total = len(vectors)
    begun = time.perf_counter()
    rows = np.sort(np.random.default_rng(0).permutation(total)[: ann.sample_size(total)])
    index = ann.create(vectors.shape[1], total, vectors[rows].astype(np.float32))
    trained = time.perf_counter()
    ann.add(index, np.arange(total), vectors)
    added = time.perf_counter()
    return Built(
        "**indexes.ann**",
        0,
        (0,),
        (K if ann.is_exact(index) else ann.candidates(K, total, index.d),),
        ann.serialize(index).nbytes,
        trained - begun,
        added - trained,
        lambda query, _, __: ann.search(index, query, K)[0],
    )


def measure(
    built: Built, vectors: Matrix, queries: Matrix, truth: NDArray[np.int64], probe: int, depth: int
) -> str:
    """One line of the table. A query's time includes ranking ``depth`` finds by their vectors."""
    times, work, hits = [], [], 0
    for query, wanted in zip(queries.astype(np.float32), truth, strict=True):
        begun, busy = time.perf_counter(), time.thread_time()
        found = built.search(query, depth, probe)
        found = found[found >= 0]
        scores = vectors[found].astype(np.float32) @ query
        best = found[np.argsort(-scores, kind="stable")[:K]]
        times.append(1000 * (time.perf_counter() - begun))
        work.append(1000 * (time.thread_time() - busy))
        hits += len(np.intersect1d(best, wanted))
    p50, p95 = np.percentile(times, [50, 95])
    cells = (
        built.name,
        built.lists or "",
        probe or "",
        depth,
        f"{hits / truth.size:.4f}",
        f"{p50:.2f}",
        f"{p95:.2f}",
        f"{np.percentile(work, 95):.2f}",
        f"{built.size / 1e6:.0f}",
        f"{built.train:.1f}",
        f"{built.add:.1f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    import faiss

    if options.threads:
        faiss.omp_set_num_threads(options.threads)
    vectors, queries = _data(options)
    truth = nearest(vectors, queries)
    print(f"{len(vectors):,} vectors, {len(queries):,} queries\n\n{HEADER}", flush=True)
    makers: list[tuple[str, Callable[[], Built]]] = [("ours", lambda: build_ours(vectors))]
    for kind in _KINDS:
        for lists in (0, *options.lists):
            makers.append((f"{kind}-{lists}", _maker(kind, lists, vectors, options.probes)))
    for name, make in makers:
        if not re.search(options.only, name):
            continue
        built = make()
        for probe in built.probes:
            for depth in built.depths or options.depths:
                print(measure(built, vectors, queries, truth, probe, depth), flush=True)
    return 0


def _maker(kind: str, lists: int, vectors: Matrix, probes: Sequence[int]) -> Callable[[], Built]:
    return lambda: build(kind, lists, vectors, probes)


def _data(options: argparse.Namespace) -> tuple[Matrix, Matrix]:
    if options.vectors:
        vectors: Matrix = np.load(options.vectors)
    else:
        vectors = random_vectors(options.random + _HELD_OUT, 384)
    if options.queries:
        queries: Matrix = np.load(options.queries)
    else:
        vectors, queries = vectors[:-_HELD_OUT], vectors[-_HELD_OUT:]
    if options.rows:
        vectors = vectors[: options.rows]
    return (grow(vectors, options.grow) if options.grow else vectors), queries


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / lengths, np.float32)


def _rotation(dimension: int) -> NDArray[np.float32]:
    random = np.random.default_rng(0).standard_normal((dimension, dimension))
    return np.linalg.qr(random)[0].astype(np.float32)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.vectors", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--vectors", type=Path, help="float16 unit vectors (.npy)")
    source.add_argument("--random", type=int, metavar="N", help="N made-up vectors instead")
    parser.add_argument("--queries", type=Path, help="float16 unit vectors of questions (.npy)")
    parser.add_argument("--rows", type=int, help="use only the first of the vectors")
    parser.add_argument("--grow", type=int, metavar="N", help="make N vectors of the given ones")
    parser.add_argument("--lists", type=int, nargs="*", default=[64, 512])
    parser.add_argument("--probes", type=int, nargs="*", default=[16, 64, 128, 256, 512])
    parser.add_argument("--depths", type=int, nargs="*", default=list(_DEPTHS))
    parser.add_argument("--only", default="", help="regular expression: ours, SQ8-1024, RaBitQ …")
    parser.add_argument("--threads", type=int, default=1, help="FAISS threads; 0 for all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
