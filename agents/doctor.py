"""What is wrong with this installation, and the command that mends it."""

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from agents.shapes import CheckShape
from indexes.errors import WaggleError
from indexes.home import collections
from indexes.i18n import t
from indexes.settings import IndexSettings
from rag.settings import ChatSettings

_ROOTS = ("indexes", "rag", "agents", "cli")
_FREE_BYTES = 500_000_000


def examine(settings: IndexSettings, chat: ChatSettings) -> Iterator[CheckShape]:
    """Run every check; none changes anything."""
    yield _python()
    yield _names()
    yield _home(settings.home)
    yield _disk(settings.home)
    yield _torch()
    yield _embedder(settings)
    yield from _collections(settings)
    yield _chat(settings.home, chat)
    yield from _vllm(settings.home)


def _ok(name: str, detail: str) -> CheckShape:
    return CheckShape(name=name, state="ok", detail=detail, fix="")


def _bad(name: str, detail: str, fix: str, *, error: bool = True) -> CheckShape:
    return CheckShape(name=name, state="error" if error else "warning", detail=detail, fix=fix)


def _python() -> CheckShape:
    running = ".".join(map(str, sys.version_info[:3]))
    return _ok("python", running)


def _names() -> CheckShape:
    """The names of our packages are ordinary words, and others use them too."""
    owners = packages_distributions()
    for root in _ROOTS:
        others = sorted({o for o in owners.get(root, []) if o.lower() != "waggledance"})
        if others:
            return _bad(
                "names",
                t("«{root}» is also installed by {others}.", root=root, others=", ".join(others)),
                f"pip uninstall {' '.join(others)}",
            )
    return _ok("names", ", ".join(_ROOTS))


def _home(home: Path) -> CheckShape:
    probe = home
    while not probe.exists():
        probe = probe.parent
    import os

    if not os.access(probe, os.W_OK):
        return _bad(
            "home",
            t("{path} cannot be written.", path=home),
            t("Choose another folder with --home or WAGGLE_HOME."),
        )
    return _ok("home", str(home))


def _disk(home: Path) -> CheckShape:
    probe = home
    while not probe.exists():
        probe = probe.parent
    free = shutil.disk_usage(probe).free
    detail = t("{free} GB free", free=f"{free / 1e9:.1f}")
    if free < _FREE_BYTES:
        return _bad("disk", detail, t("Free some space, or choose another folder with --home."))
    return _ok("disk", detail)


def _torch() -> CheckShape:
    try:
        found = version("torch")
    except PackageNotFoundError:
        return _bad("torch", t("It is not installed."), "pip install torch==2.13.0+cpu")
    cuda = any(name.startswith("nvidia_") for name in packages_distributions())
    if cuda and shutil.which("nvidia-smi") is None:
        return _bad(
            "torch",
            t("{version}: a build for GPUs, and this machine has none.", version=found),
            "pip install --force-reinstall torch==2.13.0+cpu",
            error=False,
        )
    return _ok("torch", found)


def _embedder(settings: IndexSettings) -> CheckShape:
    from indexes.embedding import embedder_of

    try:
        embedder = embedder_of(settings)
        embedder.embed_query("honey")
    except WaggleError as error:
        fix = (
            t("Start its server, or correct [index] embedder_url in waggle.toml.")
            if settings.embedder_url
            else t("Reinstall Waggle, or set another embedder.")
        )
        return _bad("embedder", str(error), fix)
    return _ok("embedder", f"{embedder.name}, {embedder.dimension}")


def _collections(settings: IndexSettings) -> Iterator[CheckShape]:
    from indexes.collection import Collection

    for name in collections(settings.home):
        try:
            with Collection.open(name, home=settings.home, create=False) as collection:
                status = collection.status()
        except WaggleError as error:
            yield _bad(name, str(error), t("Index the documents again into a new collection."))
        else:
            detail = t("{documents} documents, {chunks} passages",
                       documents=status.documents, chunks=status.chunks)  # fmt: skip
            yield _ok(t("collection {name}", name=name), detail)


def _chat(home: Path, chat: ChatSettings) -> CheckShape:
    from agents.chat_models import chat_status

    status = chat_status(home, chat)
    if status.ok and status.problem:
        return _bad(
            "chat model", status.problem, t("See it with: waggle models status"), error=False
        )
    if status.ok:
        return _ok("chat model", status.detail)
    fix = (
        t("Correct [chat] url in waggle.toml or WAGGLE_CHAT_URL.")
        if status.url
        else ("waggle models pull")
    )
    return _bad("chat model", status.detail, fix, error=status.url is not None)


def _vllm(home: Path) -> Iterator[CheckShape]:
    """The environments that `waggle models serve` has made, if any."""
    from agents.advisories import warning
    from rag.serving.environment import environments

    for name, found in environments(home).items():
        danger = warning(found)
        if danger:
            fix = t(
                "Delete {folder}; `waggle models serve` makes a new one.",
                folder=home / name,
            )
            yield _bad("vLLM", danger, fix, error=False)
        else:
            yield _ok("vLLM", found)
