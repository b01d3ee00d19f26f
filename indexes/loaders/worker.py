"""The child process of a ``LoaderPool``: reads requests on stdin, answers on stdout.

``python -P -m indexes.loaders.worker MAX_CHARACTERS``. A message is its length as four bytes,
big-endian, and that many bytes of UTF-8 JSON. The request is ``{"path": "...", "seconds": 10.0,
"memory": BYTES}``; the answer is ``{"extracted": {...}}`` or ``{"error": "..."}``, with
``"last": true`` where the process ends after it. No pickle: a parser that a document has taken
over can only send text.
"""

import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import IO, Any

from indexes.errors import LoadError
from indexes.loaders.registry import load
from indexes.types import Extracted

# What no parser needs: a document that makes one fetch an address or start a program fails.
_FORBIDDEN = frozenset({
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
    "os.spawn", "os.startfile", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree",
})  # fmt: skip

_SMALLEST_LIMIT = 1024**3  # that a pool gives where its user does not choose


def send(stream: IO[bytes], message: dict[str, Any]) -> None:
    """Write one message. Lone surrogates in file names survive the trip."""
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", errors="surrogatepass")
    stream.write(len(body).to_bytes(4, "big") + body)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any] | None:
    """Read one message; ``None`` where the stream ends before a whole one."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    size = int.from_bytes(head, "big")
    body = stream.read(size)
    if len(body) < size:
        return None
    message: dict[str, Any] = json.loads(body.decode("utf-8", errors="surrogatepass"))
    return message


def pack(extracted: Extracted) -> dict[str, Any]:
    return dataclasses.asdict(extracted)


def unpack(fields: dict[str, Any]) -> Extracted:
    return Extracted(**{**fields, "page_starts": tuple(fields["page_starts"])})


def _forbid(event: str, _arguments: tuple[object, ...]) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(f"a document's parser may not use {event}")


def _limit_memory(memory: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows; some limits on macOS
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: float) -> None:
    """Ends this process even where the parent that would stop it has been killed."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + seconds) + 5
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _heavy(memory: int) -> bool:
    """Whether this process has grown so much that the next file, whose limit may be lower,
    deserves a fresh one."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return False
    return pages * os.sysconf("SC_PAGE_SIZE") > min(memory, _SMALLEST_LIMIT) // 2


def _answer(path: str, max_characters: int) -> dict[str, Any]:
    try:
        return {"extracted": pack(load(Path(path), max_characters=max_characters))}
    except LoadError as error:
        return {"error": str(error)}


def main(max_characters: int) -> None:
    requests = sys.stdin.buffer
    # Parsers may print; what they print must not look like an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.addaudithook(_forbid)
    while (request := receive(requests)) is not None:
        _limit_memory(request["memory"])
        _limit_time(request["seconds"])
        answer = _answer(request["path"], max_characters)
        answer["last"] = _heavy(request["memory"])
        send(answers, answer)
        if answer["last"]:
            return


if __name__ == "__main__":
    main(int(sys.argv[1]))
