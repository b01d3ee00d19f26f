"""sentence-transformers to OpenVINO: the only place that needs torch."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexes.embedding.base import normalised
from indexes.embedding.files import file_sha256, writing
from indexes.embedding.record import ExportRecord
from indexes.errors import ModelError, ModelFileError
from indexes.i18n import t

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_LEAST_COSINE = 0.999


def convert(model_dir: Path, folder: Path, fingerprint: str) -> ExportRecord:
    """Write ``model.xml``, ``model.bin`` and ``tokenizer.json`` to ``folder``.

    Raises ModelFileError when the model cannot be loaded, ModelError when it cannot be converted
    or written.
    """
    with _quiet():
        model = _load(model_dir)
        tokenizer = model.tokenizer.backend_tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        with writing(folder.parent):
            (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
        inputs, version = _save_graph(model, folder / "model.xml")
    names = ("model.xml", "model.bin", "tokenizer.json")
    return ExportRecord(
        format=1,
        fingerprint=fingerprint,
        dimension=model.get_embedding_dimension() or 0,
        max_tokens=_max_tokens(model),
        pad_token_id=int(model.tokenizer.pad_token_id or 0),
        inputs=inputs,
        document_prompt=_prompt(model, "document", "passage", "corpus"),
        query_prompt=_prompt(model, "query"),
        openvino=version,
        files={name: file_sha256(folder / name) for name in names},
    )


def _load(model_dir: Path) -> "SentenceTransformer":
    """Load without network, without code from the folder, without pickles."""
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(
            str(model_dir),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except Exception as error:  # each file format's library has classes of its own
        raise ModelFileError(
            t(
                "The embedding model in {folder} cannot be loaded: {reason}. "
                "Download it again, or choose another model.",
                folder=model_dir,
                reason=str(error).strip().split("\n")[0].rstrip("."),
            )
        ) from error
    _check_supported(model, model_dir)
    return model.float().eval()


def _check_supported(model: "SentenceTransformer", model_dir: Path) -> None:
    from sentence_transformers.base.modules import Transformer

    features = model.preprocess(["a"]) if isinstance(model[0], Transformer) else {}
    prompts_are_pooled = all(getattr(module, "include_prompt", True) for module in model)
    if not (features.keys() & _INPUTS and prompts_are_pooled):
        raise ModelError(
            t(
                "The embedding model in {folder} is of a kind that is not supported. "
                "Choose a text model made of a transformer and a pooling layer.",
                folder=model_dir,
            )
        )


def _max_tokens(model: "SentenceTransformer") -> int:
    transformer: Any = model[0]
    config = transformer.auto_model.config
    positions = getattr(config, "max_position_embeddings", None)
    limits = (model.max_seq_length, positions, model.tokenizer.model_max_length)
    return int(min(limit for limit in limits if limit))


def _prompt(model: "SentenceTransformer", *names: str) -> str:
    found = (model.prompts.get(name) for name in (*names, model.default_prompt_name or ""))
    return next((prompt for prompt in found if prompt), "")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence progress bars and warnings of the libraries, and OpenVINO's usage statistics.

    OpenVINO's converter reports its use to a server unless the user has declined in a dialog,
    which a library cannot show; it reports nothing where ``CI`` is set.
    """
    from transformers import utils

    logging: Any = utils.logging
    verbosity = logging.get_verbosity()
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.enable_progress_bar()
        logging.set_verbosity(verbosity)
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


def _save_graph(model: "SentenceTransformer", path: Path) -> tuple[tuple[str, ...], str]:
    """Trace all modules (transformer, pooling, normalisation, …) into one graph and save it with
    float16 weights; return the names of its inputs and OpenVINO's version."""
    import openvino
    import torch

    features = model.preprocess(["a b", "a somewhat longer sentence, so that one is padded"])
    inputs = tuple(name for name in features if name in _INPUTS)
    example = tuple(features[name] for name in inputs)

    class Positional(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            return self.model(dict(zip(inputs, tensors, strict=True)))["sentence_embedding"]

    traced = Positional().eval()
    with torch.no_grad():
        expected = traced(*example).numpy()
        try:
            graph = openvino.convert_model(traced, example_input=example)
            openvino.save_model(graph, path, compress_to_fp16=True)
            saved = openvino.Core().compile_model(path, "CPU")
            found = saved([tensor.numpy() for tensor in example])[0]
        except Exception as error:  # OpenVINO raises classes of several private modules
            raise _conversion_failed(
                path.parent.parent, str(error).strip().split("\n")[0]
            ) from error
    # A full disk does not always raise: what was read back decides.
    cosines = (normalised(found) * normalised(expected)).sum(axis=1)
    if not (cosines > _LEAST_COSINE).all():
        raise _conversion_failed(path.parent.parent, t("the saved model computes other vectors"))
    return inputs, openvino.__version__


def _conversion_failed(folder: Path, reason: str) -> ModelError:
    return ModelError(
        t(
            "The embedding model cannot be converted in {folder}: {reason}. "
            "Check that there is free space, or choose another model.",
            folder=folder,
            reason=reason.rstrip("."),
        )
    )
