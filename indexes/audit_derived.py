"""The files derived from a collection's database, compared with their checksums and with it."""

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tantivy import FieldType, Query

from indexes import ann
from indexes.database import Database
from indexes.derived import dimension
from indexes.errors import CollectionError
from indexes.findings import Problem, Tally, Watch
from indexes.i18n import t
from indexes.postings import CHANGING, Postings, PostingsReader
from indexes.words import ANALYSIS_VERSION, terms

TANTIVY_LOCKS = (".tantivy-meta.lock", ".tantivy-writer.lock")
_FOOTER_MAGIC = 1337
_FOOTER = re.compile(
    rb'\{"version":\{"major":\d+,"minor":\d+,"patch":\d+,"index_format_version":\d+\},'
    rb'"crc":(\d+)\}'
)
_BLOCK = 1 << 20
_WINDOW = 20_000
_SAMPLE = 50


# -- vectors ---------------------------------------------------------------------------------


def audit_vectors(database: Database, folder: Path, tally: Tally) -> Iterator[Problem]:
    """The FAISS file: its checksum, whose vectors it holds, and whether they are the stored
    ones."""
    file = database.vector_file()
    if file is None:
        return
    path, size = folder / "vectors" / file.name, dimension(database)
    if not path.is_file():
        yield Problem("vector_file", file.name, t("The file of vectors is missing."))
        return
    tally.files += 1
    with path.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    if digest != file.sha256:
        yield Problem("vector_file", file.name, t("The file does not match its checksum."))
        return
    index = ann.deserialize(np.memmap(path, np.uint8, mode="r"))
    held = ann.ids(index)
    order = np.argsort(held)
    living = np.concatenate([n for n, _ in _stored(database, file.last_chunk, size)] or [held[:0]])
    removed = database.removed_vectors()
    expected = np.setdiff1d(held, removed)
    if len(np.unique(held)) != len(held) or not np.array_equal(expected, living):
        detail = t("The file does not hold the vectors of exactly the passages that there are.")
        yield Problem("vector_file", file.name, detail)
    elif ann.is_exact(index) and not _equal(index, held[order], order, database, file.last_chunk):
        detail = t("The file holds other vectors than the database.")
        yield Problem("vector_file", file.name, detail)


def _stored(
    database: Database, last: int, size: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
    for numbers, vectors in database.vector_batches(0, size):
        known = numbers <= last
        yield numbers[known], vectors[known]
        if not known.all():
            return


def _equal(
    index: Any, held: NDArray[np.int64], order: NDArray[np.int64], database: Database, last: int
) -> bool:
    """Whether the vectors in an exact index, which are float16, are the stored ones. ``held`` are
    its ids in order, ``order`` where they stand."""
    return all(
        np.array_equal(
            index.index.reconstruct_batch(order[np.searchsorted(held, numbers)]),
            vectors.astype(np.float32),
        )
        for numbers, vectors in _stored(database, last, dimension(database))
        if len(numbers)
    )


# -- postings --------------------------------------------------------------------------------


def audit_postings(
    database: Database, folder: Path, tally: Tally, watch: Watch
) -> Iterator[Problem]:
    """The tantivy index: the checksum of each of its files, whether it holds exactly the living
    chunks, and whether they are found by their words."""
    name = database.get("postings")
    if not name:
        if database.counts()[1]:
            yield Problem("postings_file", "postings", t("The postings are missing."))
        return
    place = folder / "postings" / name
    problems = list(_files(place, database.get("postings_state"), tally))
    yield from problems
    if problems:
        return
    if database.get("postings_analysis") != ANALYSIS_VERSION:
        detail = t("The postings were made by an older version of Waggle.")
        yield Problem("postings_file", name, detail)
        return
    try:
        reader = Postings(place).reader()
        wrong = list(_holds(database, reader, tally, watch))
        yield from wrong or _finds(database, reader)
    except (CollectionError, ValueError) as error:
        yield Problem("postings_file", name, str(error))


def _files(place: Path, state: str, tally: Tally) -> Iterator[Problem]:
    try:
        named = live_files(place)
        if state and _state(place) != state:
            detail = t("The lists of the postings' files do not match their checksum.")
            yield Problem("postings_file", place.name, detail)
            return
    except (OSError, ValueError, KeyError, TypeError) as error:
        detail = t("The lists of the postings' files cannot be read: {reason}.", reason=error)
        yield Problem("postings_file", place.name, detail)
        return
    tally.files += 2
    for path in sorted(place.iterdir()):
        if path.name in named:
            tally.files += 1
            if not has_right_footer(path):
                detail = t("The file does not match its checksum.")
                yield Problem("postings_file", path.name, detail)
    missing = named.difference(path.name for path in place.iterdir())
    # A segment has no positions or no deletions where none were written.
    for name in sorted(missing):
        if name in managed_files(place):
            yield Problem("postings_file", name, t("The file is missing."))


def _state(place: Path) -> str:
    """As `Postings.state`, without opening what may be damaged: tantivy would end the thread."""
    digest = hashlib.sha256()
    for name in CHANGING:
        digest.update((place / name).read_bytes())
    return digest.hexdigest()


def live_files(place: Path) -> set[str]:
    """The names that the files of the living segments may have."""
    meta = json.loads((place / "meta.json").read_bytes())
    names: set[str] = set()
    for segment in meta["segments"]:
        stem = segment["segment_id"].replace("-", "")
        parts = ["fast", "fieldnorm", "idx", "pos", "store", "term"]
        if segment["deletes"]:
            parts.append(f"{segment['deletes']['opstamp']}.del")
        names.update(f"{stem}.{part}" for part in parts)
    return names


def managed_files(place: Path) -> set[str]:
    """The names of every file that tantivy knows as its own."""
    return set(json.loads((place / ".managed.json").read_bytes()))


def has_right_footer(path: Path) -> bool:
    """Whether a file of tantivy ends with the checksum of what it holds: JSON with the CRC-32, its
    length, and a number that every footer has (tantivy, src/directory/footer.rs)."""
    size = path.stat().st_size
    if size < 8:
        return False
    with path.open("rb") as file:
        file.seek(size - 8)
        length, magic = struct.unpack("<II", file.read(8))
        if magic != _FOOTER_MAGIC or length > size - 8:
            return False
        file.seek(size - 8 - length)
        footer = _FOOTER.fullmatch(file.read(length))
        if footer is None:
            return False
        file.seek(0)
        crc, left = 0, size - 8 - length
        while left and (data := file.read(min(_BLOCK, left))):
            crc, left = zlib.crc32(data, crc), left - len(data)
    return int(footer[1]) == crc


def _holds(
    database: Database, reader: PostingsReader, tally: Tally, watch: Watch
) -> Iterator[Problem]:
    total, before, last = database.counts()[1], -1, database.last_chunk()
    pending = np.asarray(sorted(database.removed_postings()), np.int64)
    settled = bool(database.get("postings_state"))
    missing = spare = 0
    for living in _living(database):
        held = _held(reader, before + 1, int(living[-1]))
        tally.postings += len(held)
        missing += len(np.setdiff1d(living, held))
        spare += len(held) - len(np.intersect1d(held, living))
        spare -= len(np.intersect1d(held, pending))
        before = int(living[-1])
        watch(t("postings"), tally.postings, total)
    # A writer that was killed may have left some above the last number; the next takes them out.
    rest = _held(reader, before + 1, None if settled else last)
    spare += len(rest) - len(np.intersect1d(rest, pending))
    if missing:
        detail = t("{count} passages are not in the postings.", count=missing)
        yield Problem("posting", database.get("postings"), detail)
    if spare:
        detail = t("The postings hold {count} passages too many.", count=spare)
        yield Problem("posting", database.get("postings"), detail)


def _living(database: Database) -> Iterator[NDArray[np.int64]]:
    after = 0
    sql = "SELECT id FROM chunks WHERE id > ? ORDER BY id LIMIT ?"
    while rows := database.connection.execute(sql, (after, _WINDOW)).fetchall():
        numbers = np.asarray(rows, np.int64)[:, 0]
        yield numbers
        after = int(numbers[-1])


def _held(reader: PostingsReader, first: int, last: int | None) -> NDArray[np.int64]:
    """The chunks from ``first`` to ``last`` that the postings hold, each as often as it is there,
    in order."""
    if last is not None and last < first:
        return np.empty(0, np.int64)
    query = Query.range_query(
        reader.schema, "chunk", FieldType.Unsigned, lower_bound=first, upper_bound=last
    )
    held = max(1, reader.searcher.num_docs)
    most = held if last is None else min(held, 2 * (last - first + 1))
    hits = reader.searcher.search(query, most, count=False).hits
    numbers = reader.searcher.fast_field_values("chunk", [address for _, address in hits])
    return np.sort(np.asarray([number or 0 for number in numbers], np.int64))


def _finds(database: Database, reader: PostingsReader) -> Iterator[Problem]:
    """A sample of chunks, spread over all: the words of each find it."""
    last = database.last_chunk()
    sql = "SELECT id FROM chunks WHERE id >= ? ORDER BY id LIMIT 1"
    starts = np.linspace(1, last, _SAMPLE).astype(np.int64)
    sample: set[Any] = set()
    for start in starts:
        sample.update(row[0] for row in database.connection.execute(sql, (int(start),)))
    for number, stored in database.chunks(sample).items():
        text = stored.chunk.text
        if terms(text) and not reader.search(text, 1, np.asarray([number], np.int64)):
            detail = t("The passage is not found by its words.")
            yield Problem("posting", str(number), detail)
