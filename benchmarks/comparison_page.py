"""The section «Beside other systems» of ``docs/benchmarks.md``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.comparison import MEASURES, Figures, Lead, Measure, leads, ratio
from benchmarks.report import table
from benchmarks.systems import WAGGLE

BEGIN: Final = "<!-- `make bench` writes from here -->"
END: Final = "<!-- to here -->"

_USE: Final = """\
The programs run one at a time and in turns, with their own defaults for batches and threads, on
the CPU, and all are measured from outside by the same stopwatch. All use the same all-MiniLM-L6-v2
and read the same folder of text files. The peers are used as their own first examples show:

- **Waggle**: `waggle index FOLDER`; `waggle search QUESTION` (cold); `waggle search - --jsonl`
  (warm). Hybrid search.
- **txtai**: `Embeddings(path=MODEL, content=True, hybrid=True)`; paragraphs by its `Segmentation`.
  Hybrid search.
- **LlamaIndex**: `SimpleDirectoryReader`, `VectorStoreIndex.from_documents`, persisted to a folder.
  Dense search. Its entries have up to 1,024 tokens, of which the model reads the first 256: of a
  long text most is never embedded. **LlamaIndex, short entries** is the same with
  `Settings.chunk_size = 220`, so that the model reads all.
- **LangChain + FAISS**: `DirectoryLoader`, `RecursiveCharacterTextSplitter` (1,000 characters, 200
  shared), `FAISS.from_documents`, `save_local`. Dense search.
- **Chroma**: `PersistentClient` with its sentence-transformers embedding function, one entry per
  paragraph. Dense search.
- **LanceDB**: a table with the sentence-transformers function of its registry, and a full-text
  index; one entry per paragraph. Hybrid search.

The scripts are in `benchmarks/peers/`, beside the exact versions of all that they need."""

_COLUMNS: Final = """\
- **documents/s**, **index**: the whole command from its start to its end: start of Python, imports,
  loading the model, reading, cutting, embedding, writing. **CPU** is the time of all cores
  together; it depends less than the other times on what else the machine does.
- **memory**: the most that a program and its children held. **disk**: the index, without the model.
- **cold**: a new process answers one question and ends; its files are in the system's cache.
  **warm**: one process answers question after question; the time from sending a question to
  receiving the answer, with {k} entries.
- **R@5**, **MRR@10**: of the files; a file stands where its best entry stands.

Where a folder is measured in several rounds, times and sizes are medians; **p50** and **p95** are
over the questions of all rounds."""

_LIMITS: Final = """\
- The folders are small, and plain text.
- The peers are libraries: whoever uses one writes the program, chooses the parts, and can tune them
  (batches, an ONNX model, a reranker, a model that knows Chinese). Nothing of that was tried.
  Waggle's ranking was chosen on halves of these sets (see above); theirs was not.
- LlamaIndex, LangChain and Chroma search by vectors alone in these examples. Each has a way to add
  keywords.
- all-MiniLM-L6-v2 hardly knows Chinese: the Chinese folders show what a search makes of words."""


def page(found: Figures, about: Mapping[str, Any]) -> str:
    """The section, in Markdown. ``about`` is what `benchmarks.compare` notes of a run."""
    parts = ["## Beside other systems", _introduction(about), _USE, _COLUMNS.format(k=about["k"])]
    for folder, systems in found.items():
        parts += [
            f"### {folder}",
            about["folders"][folder],
            _absolute(systems),
            "Waggle against each of the others; above 1, Waggle is so many times better:",
            _ratios(systems),
        ]
    parts += ["### What others do better", _others(list(leads(found)), about)]
    parts += ["### What this comparison does not show", _LIMITS]
    return "\n\n".join(parts)


def insert(document: Path, section: str) -> None:
    """Put ``section`` between the marks, or, where there are none, with marks at the end."""
    text = document.read_text("utf-8") if document.exists() else ""
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n".lstrip()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    document.write_text(f"{before}{BEGIN}\n\n{section}\n\n{END}{after}", "utf-8")


def _introduction(about: Mapping[str, Any]) -> str:
    packages = {
        name: version for one in about["versions"].values() for name, version in one.items()
    }
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    failed = "".join(f" {name} could not be measured to the end." for name in about["failed"])
    return (
        f"```\n{about['command']}\n```\n\n"
        "This makes an environment for each of the others under `benchmarks/.peers` (some minutes "
        "the first time, 7 GB), measures, and writes this section.\n\n"
        f"Measured in one run on {about['date']}: {about['machine']}. Other programs took "
        f"{about['others']:.0%} of the processors' time meanwhile. Versions: {versions}.{failed}"
    )


def _absolute(systems: Mapping[str, Mapping[str, float]]) -> str:
    measures = _measured(systems)
    rows = [
        [name, *(_number(values.get(m.name), m) for m in measures)]
        for name, values in systems.items()
    ]
    return table(
        ["", *(f"{m.head}, {m.unit}" if m.unit else m.head for m in measures)], rows, markdown=True
    )


def _ratios(systems: Mapping[str, Mapping[str, float]]) -> str:
    measures = _measured(systems)
    waggle = systems.get(WAGGLE, {})
    rows = [
        [
            name,
            *(
                f"{ratio(m, waggle[m.name], values[m.name]):.2f}"
                if m.name in waggle and m.name in values
                else "–"
                for m in measures
            ),
        ]
        for name, values in systems.items()
        if name != WAGGLE
    ]
    return table(["", *(m.head for m in measures)], rows, markdown=True)


def _measured(systems: Mapping[str, Mapping[str, float]]) -> Sequence[Measure]:
    return [m for m in MEASURES if any(m.name in values for values in systems.values())]


def _number(value: float | None, measure: Measure) -> str:
    return "–" if value is None else f"{value:,.{measure.digits}f}"


def _others(found: Sequence[Lead], about: Mapping[str, Any]) -> str:
    lines = []
    for peer in dict.fromkeys(lead.peer for lead in found):
        for folder in dict.fromkeys(lead.folder for lead in found if lead.peer == peer):
            mine = [lead for lead in found if (lead.peer, lead.folder) == (peer, folder)]
            lines.append(f"- **{peer}**, {folder}: {'; '.join(map(_lead, mine))}.")
    if not lines:
        lines.append("- In this run none of the others was better than Waggle in any column.")
    lines.append(
        "- None of the others prepares the model first: Waggle does so once in each home folder, "
        f"in {about['prepare']:.0f} s here, and keeps {about['model_mb']:.0f} MB there. Neither is "
        "in the figures."
    )
    return "\n".join(lines)


def _lead(lead: Lead) -> str:
    value, mine = (_number(v, lead.measure) for v in (lead.value, lead.waggle))
    unit = f" {lead.measure.unit}" if lead.measure.unit else ""
    return f"{lead.measure.head} {value}{unit} (Waggle {mine})"
