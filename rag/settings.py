"""The ``[chat]`` and ``[rerank]`` tables of the settings: which models answer and reorder."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from indexes.settings import load_settings


class ChatSettings(BaseModel):
    """``url`` is the base of an OpenAI-compatible server, such as ``http://127.0.0.1:8000/v1``;
    without one the embedded engine runs ``model`` from the catalogue. Variables are
    ``WAGGLE_CHAT_URL``, ``WAGGLE_CHAT_MODEL``, ``WAGGLE_CHAT_API_KEY`` and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    model: str | None = None
    api_key: SecretStr | None = None
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=512, ge=1)
    timeout: float = Field(default=120.0, gt=0, description="seconds without a token")
    retry_seconds: float = Field(
        default=30.0, ge=0, description="how long a server that is away is asked again"
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the engine")
    idle_seconds: float = Field(default=600.0, gt=0, description="the engine stops after that")


def load_chat_settings(**options: object) -> ChatSettings:
    """The chat settings; ``options`` that are not ``None`` win."""
    return load_settings(ChatSettings, "chat", "CHAT_", **options)


class RerankSettings(BaseModel):
    """A server with a reranker, if there is one. Variables are ``WAGGLE_RERANK_URL`` and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    model: str | None = None
    api_key: SecretStr | None = None
    candidates: int = Field(default=30, ge=1, description="passages that it chooses from")


def load_rerank_settings(**options: object) -> RerankSettings:
    """The rerank settings; ``options`` that are not ``None`` win."""
    return load_settings(RerankSettings, "rerank", "RERANK_", **options)
