"""The confidence from which on an answer is given, by model and language: what was fitted here is
in ``HOME/calibration.json``. That of different models does not compare."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexes.errors import DamagedError, SourceError
from indexes.i18n import t

FILE: Final = "calibration.json"
UNFITTED: Final = 0.5
"""For a model of which nothing is known: what it finds less probable than not is not given."""
BUILT_IN: Final[Mapping[str, Mapping[str, float]]] = {
    "qwen2.5-coder-1.5b-instruct": {"en": 0.65, "zh": 0.88},
}
"""Where balanced accuracy is best on 90 and 60 questions of the halves ``tune`` of squad_en and
cmrc2018_zh: see ``docs/quality.md``."""


class Threshold(BaseModel):
    """A threshold as it is kept, with what it was fitted on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float
    rate: float
    wrong: float
    given: float
    balanced: float | None
    questions: int
    run: str


class Calibration(BaseModel):
    """The file: thresholds by the model's name, then by language (``en`` or ``zh``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = Field(default=1, ge=1, le=1)
    models: dict[str, dict[str, Threshold]] = {}


def threshold_of(home: Path, model: str, lang: str) -> float:
    """The threshold for answers of ``model`` in ``lang``: the one that was fitted, else the one
    that comes with the model. Raises `DamagedError` for a file that holds something else."""
    fitted = load_calibration(home).models.get(model, {}).get(lang)
    if fitted is not None:
        return fitted.threshold
    return BUILT_IN.get(model, {}).get(lang, UNFITTED)


def load_calibration(home: Path) -> Calibration:
    """All that was fitted; nothing where there is no file. Raises `DamagedError`."""
    file = home / FILE
    try:
        return Calibration.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Calibration()
    except (ValidationError, OSError) as error:
        raise DamagedError(
            t(
                "The thresholds in {file} cannot be read. Remove the file, or fit them again with: "
                "waggle eval --calibrate",
                file=file,
            )
        ) from error


def keep_thresholds(home: Path, model: str, thresholds: Mapping[str, Threshold]) -> None:
    """Keep the thresholds of ``model`` by language; those of other languages stay. Raises
    `SourceError` where the file cannot be written."""
    known = load_calibration(home)
    models = {**known.models, model: {**known.models.get(model, {}), **thresholds}}
    file = home / FILE
    new = file.with_suffix(f".{os.getpid()}.new")
    try:
        new.write_text(Calibration(models=models).model_dump_json(indent=2) + "\n", "utf-8")
        new.replace(file)
    except OSError as error:
        raise SourceError(
            t("The file {file} cannot be written: {reason}.", file=file,
              reason=error.strerror or error)
        ) from error  # fmt: skip
    finally:
        new.unlink(missing_ok=True)
