"""The ``[chat]``, ``[rerank]``, ``[prompts]`` and ``[retrieval]`` tables of the settings: which
models answer and reorder, where the user's own prompts lie, and how passages are found."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from indexes.errors import UsageError
from indexes.i18n import t
from indexes.settings import find_file, load_settings


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


class PromptSettings(BaseModel):
    """Where prompts of one's own lie, besides ``HOME/prompts``. The variable is
    ``WAGGLE_PROMPTS_FOLDER``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path | None = Field(default=None, description="relative to waggle.toml")


def prompts_folder() -> Path | None:
    """The folder of prompts that the settings name. One that ``waggle.toml`` gives without a root
    lies beside that file. Raises `UsageError` where it is not there."""
    folder = load_settings(PromptSettings, "prompts", "PROMPTS_").folder
    if folder is None:
        return None
    file = find_file()
    given = bool(os.environ.get("WAGGLE_PROMPTS_FOLDER"))
    base = Path.cwd() if given or file is None else file.parent
    path = base / folder.expanduser()
    if not path.is_dir():
        raise UsageError(
            t("The folder of prompts {path} is not there. Make it, or mend [prompts] folder.",
              path=path)
        )  # fmt: skip
    return path


class RetrievalSettings(BaseModel):
    """How passages are found: the plan's name, and fields of it that are to be otherwise (see
    `rag.retrieval.plan.RetrievalPlan`). Variables are ``WAGGLE_RETRIEVAL_PLAN`` and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: str = "default"
    condense: bool | None = None
    rewordings: int | None = None
    hypothetical: bool | None = None
    step_back: bool | None = None
    hops: int | None = None
    expand: Literal["none", "window", "parent"] | None = None
    diversity: float | None = None
    rerank: Literal["none", "served", "cross-encoder", "chat"] | None = None
    candidates: int | None = None
    sufficient: bool | None = None


def load_retrieval_settings(**options: object) -> RetrievalSettings:
    """The retrieval settings; ``options`` that are not ``None`` win."""
    return load_settings(RetrievalSettings, "retrieval", "RETRIEVAL_", **options)


class VerifySettings(BaseModel):
    """What says whether a passage states a claim: the chat model, or the cross-encoder for natural
    language inference ``nli``, by name or folder. ``paraphrases``: whether a yes is enough for a
    claim that does not follow the passage's sentence (`rag.verifying.following`); by default that
    of ``nli`` is, and the chat model's is not. The variables are ``WAGGLE_VERIFY_NLI`` and
    ``WAGGLE_VERIFY_PARAPHRASES``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nli: str | None = None
    paraphrases: bool | None = None

    def quoted(self, passages: int) -> int:
        """Of how many of the first ``passages`` the own words are shown where a claim does not
        follow them: all, or none."""
        trusted = bool(self.nli) if self.paraphrases is None else self.paraphrases
        return 0 if trusted else passages


def load_verify_settings(**options: object) -> VerifySettings:
    """The settings of checking claims; ``options`` that are not ``None`` win."""
    return load_settings(VerifySettings, "verify", "VERIFY_", **options)
