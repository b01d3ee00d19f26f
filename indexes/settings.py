"""Settings, weakest first: defaults, ``waggle.toml``, ``WAGGLE_*`` variables, explicit options.

``waggle.toml`` is looked for in the working folder and its parents, then in the user's
configuration folder; the first one found counts. It has one table per room of the program::

    [index]
    home = "~/library"
    collection = "notes"

    [chat]
    url = "http://127.0.0.1:8000/v1"
"""

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from indexes.addresses import host_name
from indexes.errors import UsageError
from indexes.i18n import t

FILE_NAME = "waggle.toml"
TABLES = ("index", "chat", "rerank", "prompts", "retrieval", "verify", "agent", "mcp", "serve")

ModelT = TypeVar("ModelT", bound=BaseModel)


def _expand(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() follows links


UserPath = Annotated[Path, AfterValidator(_expand)]


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Listed = BeforeValidator(_split)
"""Makes a list of what a variable or an option holds: ``a,b``."""
Names = Annotated[tuple[str, ...], Listed]
Hosts = Annotated[Names, AfterValidator(lambda names: tuple(map(host_name, names)))]


def default_home() -> Path:
    """The platform's folder for a user's data."""
    from platformdirs import user_data_path

    return user_data_path("waggle", appauthor=False)


class IndexSettings(BaseModel):
    """The ``[index]`` table: where collections live and how documents are embedded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: UserPath = Field(default_factory=default_home)
    collection: str = "default"
    embedder: str = "all-MiniLM-L6-v2"
    embedder_url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="server of the embedding model"
    )
    embedder_api_key: SecretStr | None = None
    threads: int | None = Field(default=None, ge=1, description="CPU threads for embedding")
    workers: int = Field(default=1, ge=1, description="processes that read documents")
    chunk_tokens: int | None = Field(
        default=None, ge=16, description="tokens of a passage; by default what the embedder reads"
    )
    web: bool = Field(default=False, description="whether pages of the web may be fetched")
    web_hosts: Hosts = Field(default=(), description="inner hosts that pages may come from")


def find_file() -> Path | None:
    """The ``waggle.toml`` that counts here, if there is one."""
    from platformdirs import user_config_path

    here = Path.cwd()
    folders = [here, *here.parents, user_config_path("waggle", appauthor=False)]
    return next((f / FILE_NAME for f in folders if (f / FILE_NAME).is_file()), None)


@cache
def _read(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            t("The settings file {path} cannot be read: {reason}.", path=path, reason=error)
        ) from error
    unknown = sorted(set(tables) - set(TABLES))
    if unknown:
        raise UsageError(
            t(
                "The settings file {path} has an unknown entry «{name}». Known tables: {known}.",
                path=path,
                name=unknown[0],
                known=", ".join(f"[{name}]" for name in TABLES),
            )
        )
    return tables


def load_settings(
    model: type[ModelT], table: str, prefix: str = "", /, **options: object
) -> ModelT:
    """Merge file, environment and ``options`` (``None`` means not given) into ``model``.

    A field ``name`` is read from the variable ``WAGGLE_<prefix><NAME>``. Raises `UsageError` that
    names the offending entry.
    """
    file = find_file()
    values = dict(_read(file).get(table, {})) if file else {}
    for name in model.model_fields:
        if given := os.environ.get(f"WAGGLE_{prefix}{name}".upper()):
            values[name] = given
    values.update({name: value for name, value in options.items() if value is not None})
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            t(
                "The setting «{name}» is not usable: {reason}.",
                name=".".join([table, *map(str, first["loc"])]),
                reason=first["msg"].removeprefix("Value error, "),
            )
        ) from error
