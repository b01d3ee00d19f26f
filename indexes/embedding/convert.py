"""sentence-transformers to ONNX or OpenVINO: the only place that needs torch."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from indexes.embedding.base import normalised
from indexes.embedding.files import file_sha256, writing
from indexes.embedding.int8 import INPUTS, bert_graph, is_supported
from indexes.embedding.record import MODEL_FILES, ExportRecord
from indexes.embedding.session import open_session, vectors
from indexes.errors import ModelError, ModelFileError
from indexes.i18n import t

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
# To the vectors of the original, for each text of the sample.
_LEAST_COSINE = {"f32": 0.999, "int8": 0.98}
_SAMPLE = (
    "The bees dance to tell the others where the food is.",
    "A court may set aside an award if the tribunal exceeded its powers.",
    "When was the bridge over the river built?",
    "def parse(line: str) -> tuple[str, int]: return line.split()",
)


def convert(model_dir: Path, folder: Path, fingerprint: str, *, int8: bool = True) -> ExportRecord:
    """Write the model and ``tokenizer.json`` to ``folder``.

    The model is written with 8-bit products if ``int8`` allows them, the model is of the kind that
    `indexes.embedding.int8` knows, and the vectors agree with the original's; else in float32.
    Raises ModelFileError when the model cannot be loaded, ModelError when it cannot be converted
    or written.
    """
    with quiet():
        model = load_model(model_dir)
        _save_tokenizer(model, folder)
        precision: Literal["int8", "f32"] = "f32"
        if int8 and _save_int8(model, folder):
            precision = "int8"
        inputs = INPUTS if precision == "int8" else _save_graph(model, folder / "model.xml")
    names = MODEL_FILES[precision] + ("tokenizer.json",)
    return ExportRecord(
        format=3,
        precision=precision,
        fingerprint=fingerprint,
        dimension=model.get_embedding_dimension() or 0,
        max_tokens=token_limit(model),
        pad_token_id=int(model.tokenizer.pad_token_id or 0),
        unknown_token_id=unknown_token(model.tokenizer),
        inputs=inputs,
        document_prompt=prompt_of(model, "document", "passage", "corpus"),
        query_prompt=prompt_of(model, "query"),
        files={name: file_sha256(folder / name) for name in names},
    )


def load_model(model_dir: Path, **options: object) -> "SentenceTransformer":
    """The model in float32, loaded without network, without code from the folder, without pickles.

    ``options`` go to its transformer. Raises ModelFileError when it cannot be loaded, ModelError
    when it is of a kind that is not supported.
    """
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(
            str(model_dir),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, **options},
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


def token_limit(model: "SentenceTransformer") -> int:
    """Tokens of a text that the model reads, special tokens included."""
    transformer: Any = model[0]
    config = transformer.auto_model.config
    positions = getattr(config, "max_position_embeddings", None)
    limits = (model.max_seq_length, positions, model.tokenizer.model_max_length)
    return int(min(limit for limit in limits if limit))


def unknown_token(tokenizer: Any) -> int | None:
    """The token for what the tokenizer does not know, if it stands for nothing else: some use
    the one that ends a text."""
    names = ("bos", "eos", "cls", "sep", "pad", "mask")
    others = {getattr(tokenizer, f"{name}_token_id", None) for name in names}
    unknown = tokenizer.unk_token_id
    return None if unknown is None or unknown in others else int(unknown)


def prompt_of(model: "SentenceTransformer", *names: str) -> str:
    """What the model wants before a text: its prompt of the first of these names, or none."""
    found = (model.prompts.get(name) for name in (*names, model.default_prompt_name or ""))
    return next((prompt for prompt in found if prompt), "")


def _save_tokenizer(model: "SentenceTransformer", folder: Path) -> None:
    tokenizer = model.tokenizer.backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with writing(folder.parent):
        (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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


def _save_int8(model: "SentenceTransformer", folder: Path) -> bool:
    """Save ``model.onnx`` if the model is of the known kind and close enough in 8 bits."""
    if not is_supported(model):
        return False
    path = folder / "model.onnx"
    with writing(folder.parent):
        path.write_bytes(bert_graph(model))
        saved = path.read_bytes()  # a full disk does not always raise
    features = model.preprocess(list(_SAMPLE))
    found = vectors(open_session(saved, threads=1), [features[name].numpy() for name in INPUTS])
    expected = model.encode(list(_SAMPLE), convert_to_numpy=True, show_progress_bar=False)
    cosines = (normalised(found) * normalised(expected)).sum(axis=1)
    close = bool((cosines > _LEAST_COSINE["int8"]).all())
    if not close:
        path.unlink()
    return close


def _save_graph(model: "SentenceTransformer", path: Path) -> tuple[str, ...]:
    """Trace all modules (transformer, pooling, normalisation, …) into one graph and save it with
    float16 weights; return the names of its inputs."""
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
    if not (cosines > _LEAST_COSINE["f32"]).all():
        raise _conversion_failed(path.parent.parent, t("the saved model computes other vectors"))
    return inputs


def _conversion_failed(folder: Path, reason: str) -> ModelError:
    return ModelError(
        t(
            "The embedding model cannot be converted in {folder}: {reason}. "
            "Check that there is free space, or choose another model.",
            folder=folder,
            reason=reason.rstrip("."),
        )
    )
