"""A collection as LangChain sees it."""

from pathlib import Path
from typing import cast

from langchain_core.embeddings import Embeddings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from indexes.collection import Collection
from indexes.langchain import CollectionVectorStore

TEXTS = ["Bees dance to tell where the food is.", "Propolis seals the hive."]


def test_as_a_retriever_in_a_chain(collection: Collection) -> None:
    collection.add_texts(TEXTS, [{"year": 2020}, {"year": 2021}], ["dance", "glue"])
    retriever = collection.as_retriever(k=1)
    (found,) = retriever.invoke("What seals the hive?")
    assert found.page_content == TEXTS[1]
    assert (found.metadata["source"], found.metadata["year"]) == ("glue", 2021)
    chain = (
        {"passages": retriever, "question": RunnablePassthrough()}
        | ChatPromptTemplate.from_template("{passages}\n{question}")
        | RunnableLambda(lambda prompt: prompt.to_string())
        | StrOutputParser()
    )
    assert TEXTS[0] in chain.invoke("How do bees tell where the food is?")


def test_as_a_vector_store(collection: Collection) -> None:
    store = collection.as_vectorstore()
    ids = store.add_texts(TEXTS, [{"n": 1}, {"n": 2}])
    assert len(ids) == 2
    ((best, score),) = store.similarity_search_with_score("seal", k=1)
    assert best.page_content == TEXTS[1]
    assert 0 <= score <= 1
    assert [d.page_content for d in store.get_by_ids(ids)] == TEXTS
    (dense,) = store.similarity_search("Where is something to eat?", k=1, mode="dense")
    assert dense.page_content == TEXTS[0]
    assert isinstance(store.embeddings, Embeddings)
    store.delete([ids[1]])
    assert [d.page_content for d in store.similarity_search("seal", k=5)] == [TEXTS[0]]


def test_made_from_texts(collection: Collection, tmp_path: Path) -> None:
    store = CollectionVectorStore.from_texts(
        TEXTS, cast(Embeddings, collection.embedder), name="made", home=tmp_path / "home"
    )
    assert store.similarity_search("dance", k=1)[0].page_content == TEXTS[0]
