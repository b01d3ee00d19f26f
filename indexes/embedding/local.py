"""Embedding on this machine's CPU, through ONNX Runtime (8-bit) or OpenVINO."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexes.embedding.base import Matrix, normalised, well_formed
from indexes.embedding.compiled import open_compiled
from indexes.embedding.export import discard, ensure_export
from indexes.embedding.record import ExportRecord, is_intact
from indexes.embedding.session import open_session, read_model
from indexes.embedding.session import vectors as session_vectors
from indexes.errors import DamagedError
from indexes.i18n import t

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_Table = np.ndarray[Any, np.dtype[np.int64]]

# Texts tokenised together: enough to find neighbours of like length, few enough to hold.
_WINDOW = 1024
# Padded tokens run through the model at once: few enough that layers stay in the cache.
_BATCH_TOKENS = 256


@dataclass(frozen=True, slots=True)
class _Runtime:
    tokenizer: "Tokenizer"
    """Cuts at the model's limit."""
    infer: Callable[[list[Any]], Matrix]
    """Tensors of a batch to vectors of any length; may be called from several threads."""
    workers: int
    """Batches that are best run at once."""


class LocalEmbedder:
    """A sentence-transformers model, exported once and run by ONNX Runtime or OpenVINO.

    ``model_dir`` is the model's folder (safetensors), ``cache_dir`` holds the export, and
    ``threads`` is the number of cores to use (all if None). Nothing is read before it is needed;
    the first use of a model takes about ten seconds and tells so through ``progress``. Any use
    may raise ModelError or ModelFileError.
    """

    def __init__(
        self,
        model_dir: Path,
        cache_dir: Path,
        *,
        name: str,
        threads: int | None = None,
        weights_sha256: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.model_dir = model_dir
        self._cache_dir = cache_dir
        self._threads = threads
        self._weights_sha256 = weights_sha256
        self._progress = progress
        self._loading = threading.Lock()
        self._export: tuple[Path, ExportRecord] | None = None
        self._runtime: _Runtime | None = None
        self._tokenizer: Tokenizer | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 over weights, tokenizer and configuration."""
        return self._record.fingerprint

    @property
    def dimension(self) -> int:
        """Numbers in one vector."""
        return self._record.dimension

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read, special tokens included."""
        return self._record.max_tokens

    @property
    def tokenizer(self) -> "Tokenizer":
        """The model's tokenizer, without truncation and padding."""
        if self._tokenizer is None:
            text = self._loaded().tokenizer.to_str()
            tokenizer = _tokenizer_from(text)
            tokenizer.no_truncation()
            self._tokenizer = tokenizer
        return self._tokenizer

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``, special tokens included."""
        return len(self.tokenizer.encode(well_formed(text)).ids)

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Matrix:
        """Embed passages: float32 (len(texts), dimension), rows of length 1, in the given order.

        A text over ``max_tokens`` is cut there. Tokens that the model does not know are left out:
        each of them looks like every other. ``progress`` is told how many texts of this call
        are done so far.
        """
        return self._encode(texts, self._record.document_prompt, progress)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages, as lists (LangChain)."""
        rows: list[list[float]] = self.encode(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Embed one question (LangChain)."""
        row: list[float] = self._encode([text], self._record.query_prompt, None)[0].tolist()
        return row

    @property
    def _record(self) -> ExportRecord:
        with self._loading:
            return self._exported()[1]

    def _exported(self) -> tuple[Path, ExportRecord]:
        if self._export is None:
            self._export = ensure_export(
                self.model_dir,
                self._cache_dir,
                weights_sha256=self._weights_sha256,
                progress=self._progress,
            )
        return self._export

    def _loaded(self) -> _Runtime:
        with self._loading:
            if self._runtime is None:
                try:
                    self._runtime = self._load()
                except DamagedError:
                    discard(self._exported()[0])
                    self._export = None
                    self._runtime = self._load()
            return self._runtime

    def _load(self) -> _Runtime:
        folder, record = self._exported()
        if not is_intact(folder, record, "tokenizer.json"):
            raise DamagedError(t("{file} is damaged.", file=folder / "tokenizer.json"))
        tokenizer = _tokenizer_from((folder / "tokenizer.json").read_text("utf-8"))
        tokenizer.enable_truncation(record.max_tokens)
        return _Runtime(tokenizer, *_open_model(folder, record, self._threads))

    def _encode(
        self, texts: Sequence[str], prompt: str, progress: Callable[[int], None] | None
    ) -> Matrix:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not len(texts):
            return vectors
        runtime = self._loaded()
        with ThreadPoolExecutor(runtime.workers) as pool:
            for first in range(0, len(texts), _WINDOW):
                window = [prompt + well_formed(text) for text in texts[first : first + _WINDOW]]
                tokens = _known_tokens(runtime.tokenizer, self._record.unknown_token_id, window)
                batches = list(_batches([len(ids) for ids in tokens]))
                jobs = ([tokens[row] for row in rows] for rows in batches)
                done = first
                # A thread of its own for a single question would take longer to start than to work.
                each = map if len(batches) == 1 else pool.map
                for rows, found in zip(batches, each(self._infer, jobs), strict=True):
                    vectors[first + rows] = found
                    done += len(rows)
                    if progress is not None:
                        progress(done)
        return normalised(vectors)

    def _infer(self, tokens: list[list[int]]) -> Matrix:
        record = self._record
        ids, mask = _padded(tokens, record.pad_token_id)
        columns = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return self._loaded().infer([columns[name] for name in record.inputs])


def _open_model(
    folder: Path, record: ExportRecord, threads: int | None
) -> tuple[Callable[[list[Any]], Matrix], int]:
    """How to run the export in ``folder``, and how many batches at once."""
    if record.precision == "int8":
        # One core a batch and several batches at once: no core waits for another.
        session = open_session(read_model(folder, record), threads=1)
        workers = threads or _cores()
        return partial(session_vectors, session), workers
    model, running = open_compiled(folder, record, threads), threading.Lock()

    def infer(tensors: list[Any]) -> Matrix:
        with running:
            output: Matrix = model(tensors)[0]
        return output

    return infer, 1


def _cores() -> int:
    """Cores that this process may use; Linux alone can tell a part of the machine's."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tokenizer_from(text: str) -> "Tokenizer":
    from tokenizers import Tokenizer

    return Tokenizer.from_str(text)


def _batches(lengths: list[int]) -> Iterator[np.ndarray[Any, np.dtype[np.intp]]]:
    """Row numbers in batches of like length, longest first, so that little padding is computed."""
    order = np.argsort(np.negative(lengths), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, _BATCH_TOKENS // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def _known_tokens(tokenizer: "Tokenizer", unknown: int | None, texts: list[str]) -> list[list[int]]:
    """The tokens of each text without the unknown ones; all of them where no other is left."""
    found = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
    if unknown is None:
        return found
    return [[token for token in ids if token != unknown] or ids for ids in found]


def _padded(rows: list[list[int]], filler: int) -> tuple[_Table, _Table]:
    """Token numbers, and 1 where there is one: (len(rows), longest row)."""
    shape = (len(rows), max(len(row) for row in rows))
    table, mask = np.full(shape, filler, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return table, mask
