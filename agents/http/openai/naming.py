"""The names of models: ``waggle/NAME`` answers from a collection, ``waggle/NAME/agent`` acts."""

from dataclasses import dataclass

from indexes.errors import UnknownCollectionError
from indexes.i18n import t

_ROOT, _AGENT = "waggle/", "/agent"


@dataclass(frozen=True, slots=True)
class Target:
    """A collection, asked or acted upon."""

    collection: str
    agent: bool = False

    @property
    def model(self) -> str:
        """The name of the model."""
        return f"{_ROOT}{self.collection}{_AGENT if self.agent else ''}"


def target_of(model: str) -> Target:
    """What a model's name stands for. Raises `UnknownCollectionError` for one that is none of
    ours."""
    name = model.removeprefix(_ROOT)
    target = Target(name.removesuffix(_AGENT), name.endswith(_AGENT))
    if target.model != model or not target.collection or "/" in target.collection:
        raise unknown_model(model)
    return target


def unknown_model(model: str) -> UnknownCollectionError:
    """That there is no such model, or none that the caller may know of."""
    return UnknownCollectionError(
        t("There is no model «{model}» for this key. /v1/models lists those that there are.",
          model=model)
    )  # fmt: skip
