"""Bodies of requests, as they are read at the door."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from indexes.embedding.base import well_formed


class Incoming(BaseModel):
    """A part of a body. Fields that it does not know are ignored, wrong types are refused."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Body(Incoming):
    """A whole body. JSON can name half a character (``"\\ud800"``), which can be neither stored nor
    sent on: it becomes U+FFFD."""

    @model_validator(mode="before")
    @classmethod
    def _whole_characters(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given  # what was not sent as JSON comes as bytes
        try:
            text = json.dumps(given, ensure_ascii=False)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        clean = well_formed(text)
        return given if clean == text else json.loads(clean)
