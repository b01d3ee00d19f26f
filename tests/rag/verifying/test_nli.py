from pathlib import Path

import pytest

from indexes.errors import UsageError
from rag.verifying.nli import Entailment


def save(folder: Path, labels: list[str]) -> str:
    """A model without layers whose likeliest output is always the second."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification
    from transformers.models.bert import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bees", "dance"]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=32, id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([0.0, 5.0, 1.0]))
    model.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["contradiction", "ENTAILMENT", "neutral"], True),
        (["entailment", "neutral", "contradiction"], False),
    ],
)
def test_the_labels_of_the_model_decide(tmp_path: Path, labels: list[str], expected: bool) -> None:
    assert Entailment(save(tmp_path, labels)).entails("bees dance", "bees dance") is expected


def test_a_model_for_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="entailment"):
        Entailment(save(tmp_path, ["a", "b", "c"])).entails("bees", "dance")


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Entailment(str(tmp_path / "none")).entails("bees", "dance")
