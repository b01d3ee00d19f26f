"""Make what the tests against vLLM need: vLLM in an environment of its own, and a small model in
the form that vLLM loads.

::

    python scripts/vllm_for_tests.py .venv-vllm          vLLM's build for CPUs
    python scripts/vllm_for_tests.py .venv-vllm --gpu    vLLM for NVIDIA GPUs

leave there ``cpu`` or ``gpu``, a link to the environment, and the folder
``smollm2-135m-instruct``. What is there already is kept.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

MODEL = "smollm2-135m-instruct"
CONVERSION = ("accelerate>=1.12", "gguf>=0.17")
"""What transformers needs to read a GGUF file."""
_TELL_SECONDS = 20.0


def main() -> None:
    """Parse the arguments and run the steps, each named as it begins."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--convert", type=Path, metavar="GGUF", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.convert:  # under vLLM's interpreter
        convert(arguments.convert, arguments.folder)
        return
    python = environment(arguments.folder, gpu=arguments.gpu)
    model(arguments.folder / MODEL, python)


def environment(folder: Path, *, gpu: bool) -> Path:
    """The interpreter of vLLM's environment, which is made if there is none."""
    from rag.serving.environment import ensure_environment

    print("[1/2] vLLM: some minutes the first time", flush=True)
    # What is never imported need not be compiled: that would take longer than the rest.
    python = ensure_environment(
        folder.resolve(), progress=Progress(), gpu=gpu, pip_options=["--no-compile"]
    )
    link = folder / ("gpu" if gpu else "cpu")
    link.unlink(missing_ok=True)
    link.symlink_to(python.parent.parent.name)
    return python


class Progress:
    """Prints what is being done, a few times a minute."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, text: str) -> None:
        if time.monotonic() >= self._next:
            print(f"      {text}", flush=True)
            self._next = time.monotonic() + _TELL_SECONDS


def model(folder: Path, python: Path) -> None:
    """Convert the model, unless that has been done."""
    from rag.models.catalogue import find
    from rag.models.download import pull

    print(f"[2/2] {MODEL} as safetensors", flush=True)
    if folder.is_dir():
        return
    cache = Path(os.environ.get("WAGGLE_TEST_MODELS", "~/.cache/waggle-tests/models")).expanduser()
    file = pull(find(MODEL), cache)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-compile", *CONVERSION], check=True)
    half_made = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(half_made, ignore_errors=True)
    command = [str(python), __file__, str(half_made), "--convert", str(file)]
    subprocess.run(command, check=True, env={**os.environ, "TQDM_DISABLE": "1"})
    half_made.replace(folder)


def convert(gguf: Path, folder: Path) -> None:
    """Write the weights in 16 bits, the tokenizer and the chat template of a GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    if not tokenizer.chat_template:
        sys.exit(f"{gguf} has no chat template.")
    weights = AutoModelForCausalLM.from_pretrained(
        **source, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    weights.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()
