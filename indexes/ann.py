"""FAISS indexes over unit vectors, chosen by size, searched by inner product.

Few vectors are searched exactly, in float16. Many are kept as one bit per number (Gao and Long,
"RaBitQ", SIGMOD 2024), so small that a query scans all of them; whoever holds the vectors ranks
what was found by the exact scores. Why none is skipped, and how the sizes were chosen, stands in
docs/decisions/0014-vectors-by-size.md; ``benchmarks/vectors.py`` measures again.

An index is filled by one thread; after that any number of threads may search it.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT_BELOW = 50_000
"""Up to so many vectors exact search is used."""

# The codes tell how a vector differs from the centre of its list; more lists gain nothing.
_LISTS = 64
_ROWS_PER_LIST = 256
TRAINING_ROWS = _ROWS_PER_LIST * _LISTS
"""The largest sample that is worth having."""

_ENOUGH_DIMENSIONS = 256
_FEWEST_CANDIDATES = 300
_CANDIDATES_PER_RESULT = 4
_SEED = 20260101
_ADD_AT_ONCE = 16_384


class Bitmap:
    """A set of ids below a bound, as one bit each: what a search may return."""

    def __init__(self, members: NDArray[np.bool_]) -> None:
        """``members[i]`` tells whether id ``i`` is in the set."""
        import faiss

        # The selector keeps only the address of the bytes.
        self._bits = np.packbits(members, bitorder="little")
        if not len(self._bits):
            self._bits = np.zeros(1, np.uint8)
        self._count = int(np.count_nonzero(members))
        kind: Any = faiss.IDSelectorBitmap
        self._selector = kind(self._bits)

    @classmethod
    def of(cls, numbers: NDArray[np.int64], highest: int) -> "Bitmap":
        """The set of ``numbers``, none of them negative or above ``highest``."""
        members = np.zeros(highest + 1, np.bool_)
        members[numbers] = True
        return cls(members)

    def __len__(self) -> int:
        return self._count

    @property
    def selector(self) -> Any:
        """The ``faiss.IDSelector``; valid as long as this object lives."""
        return self._selector


def sample_size(total: int) -> int:
    """Rows that `create` wants for training; 0 where it will make an exact index."""
    return 0 if total <= EXACT_BELOW else min(total, TRAINING_ROWS)


def create(dimension: int, total: int, sample: NDArray[np.float32]) -> Any:
    """An empty, trained index for about ``total`` vectors of length 1.

    ``sample`` (rows, dimension) holds a random choice of them, `sample_size` rows or more. Fewer
    will do, at some cost in accuracy; without any the index is exact.
    """
    if total <= EXACT_BELOW or not len(sample):
        return _exact(dimension)
    return _bits(dimension, np.ascontiguousarray(sample, np.float32))


def add(index: Any, numbers: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
    """Put ``vectors`` (rows, dimension) in under the ids ``numbers`` (rows,).

    An id that the index already holds is not noticed: it would be found twice. Raises ValueError
    for ids that are repeated within ``numbers`` or are too few, and RuntimeError for an index that
    `deserialize` made, which cannot grow.
    """
    if len(numbers) != len(vectors) or len(np.unique(numbers)) != len(numbers):
        raise ValueError("each vector needs an id of its own")
    if _is_view(index):  # FAISS would end the process
        raise RuntimeError("an index that was read cannot grow")
    for start in range(0, len(numbers), _ADD_AT_ONCE):
        rows = slice(start, start + _ADD_AT_ONCE)
        index.add_with_ids(
            np.ascontiguousarray(vectors[rows], np.float32),
            np.ascontiguousarray(numbers[rows], np.int64),
        )


def is_exact(index: Any) -> bool:
    """Whether the index compares a query with every vector, in float16."""
    import faiss

    return isinstance(index, faiss.IndexIDMap2)


def search(
    index: Any,
    query: NDArray[np.float32],
    k: int,
    alive: Bitmap | None = None,
    share: float = 1.0,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest to ``query`` (dimension,) among those in ``alive``: ids and scores, best first.

    An exact index (`is_exact`) gives the ``k`` nearest. Another gives approximate scores, and as
    many candidates as it takes to have the ``k`` nearest among them: rank them all by the stored
    vectors. Fewer than ``k`` come back only if fewer pass. ``share`` (0..1] is about the share of
    the vectors that pass: among few, fewer candidates are needed.
    """
    passing = index.ntotal if alive is None else min(index.ntotal, len(alive))
    if k <= 0 or not passing:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    row = np.ascontiguousarray(query, np.float32)[None, :]
    exact = is_exact(index)
    parameters = _parameters(alive) if exact else _scan_all(index, alive)
    wanted = k if exact else candidates(k, math.ceil(share * index.ntotal), index.d)
    scores, numbers = index.search(row, min(wanted, passing), params=parameters)
    found = numbers[0] >= 0
    return numbers[0][found], scores[0][found]


def candidates(k: int, total: int, dimension: int) -> int:
    """How many finds by approximate scores hold the ``k`` nearest of ``total`` vectors: the
    more there are, the more crowd around the k-th, and with fewer dimensions there are fewer bits
    to tell them apart."""
    crowd = math.isqrt(total * k // 10)
    coarseness = max(1.0, _ENOUGH_DIMENSIONS / dimension)
    return int(coarseness * max(_FEWEST_CANDIDATES, _CANDIDATES_PER_RESULT * k, crowd))


def ids(index: Any) -> NDArray[np.int64]:
    """Every id the index holds, in no particular order."""
    import faiss

    if is_exact(index):
        return np.array(faiss.vector_to_array(index.id_map), np.int64)
    inner: Any = faiss.extract_index_ivf(index)
    lists = inner.invlists
    parts = [
        np.array(faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)), np.int64)
        for i in range(inner.nlist)
        if lists.list_size(i)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def serialize(index: Any) -> NDArray[np.uint8]:
    """The index as the bytes of FAISS's own file format."""
    import faiss

    return np.asarray(faiss.serialize_index(index), np.uint8)


def deserialize(data: NDArray[np.uint8]) -> Any:
    """The index that `serialize` wrote, without a copy: it reads from ``data`` (an array in memory
    or a mapped file), which must not change. It can be searched and not be added to.

    FAISS does not notice damaged bytes: check them first. Raises RuntimeError where they cannot be
    an index at all.
    """
    import faiss

    reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(data), data.nbytes)  # type: ignore[attr-defined]
    index: Any = faiss.read_index(reader)
    index.referenced_objects = [data]  # keeps the bytes alive as long as the index
    return index


def _is_view(index: Any) -> bool:
    return any(isinstance(item, np.ndarray) for item in getattr(index, "referenced_objects", ()))


def _exact(dimension: int) -> Any:
    import faiss

    codes = faiss.IndexScalarQuantizer(
        dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    return faiss.IndexIDMap2(codes)


def _bits(dimension: int, sample: NDArray[np.float32]) -> Any:
    import faiss

    # RaBitQ presumes that no direction is special; a rotation sees to it and keeps products.
    rotation = faiss.RandomRotationMatrix(dimension, dimension)
    rotation.init(_SEED)
    centres = faiss.IndexFlatIP(dimension)
    lists = max(1, min(_LISTS, len(sample) // 2))
    inner: Any = faiss.IndexIVFRaBitQFastScan(centres, dimension, lists, faiss.METRIC_INNER_PRODUCT)
    inner.cp.seed = _SEED
    inner.cp.min_points_per_centroid = 1
    inner.nprobe = lists
    index = faiss.IndexPreTransform(rotation, inner)
    index.train(sample)
    return index


def _parameters(alive: Bitmap | None, **probes: int) -> Any:
    import faiss

    kind: Any = faiss.SearchParametersIVF if probes else faiss.SearchParameters
    return kind(**({"sel": alive.selector} if alive is not None else {}), **probes)


def _scan_all(index: Any, alive: Bitmap | None) -> Any:
    import faiss

    kind: Any = faiss.SearchParametersPreTransform
    inner: Any = faiss.extract_index_ivf(index)
    return kind(index_params=_parameters(alive, nprobe=inner.nlist))
