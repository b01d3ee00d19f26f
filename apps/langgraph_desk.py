"""A LangGraph graph: the documents answer, and a person is asked where they do not know.

python apps/langgraph_desk.py "When is the honey harvested?"
"""

import sys
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from indexes import Collection
from rag import RAG


class Desk(TypedDict, total=False):
    """A question on its way through the desk."""

    question: str
    answer: str
    citations: list[dict[str, Any]]
    status: str
    ticket: str


def desk_graph(rag: RAG) -> CompiledStateGraph[Desk, None, Desk, Desk]:
    """``answer``, then either the end, or ``ask_a_person`` with the passages that came nearest."""
    model, retriever = rag.as_chat_model(), rag.collection.as_retriever(k=3)

    def answer(state: Desk) -> Desk:
        reply = model.invoke(state["question"])
        said = reply.response_metadata
        return {"answer": reply.text, "status": said["status"], "citations": said["citations"]}

    def ask_a_person(state: Desk) -> Desk:
        near = "\n".join(f"- {d.metadata['source']}" for d in retriever.invoke(state["question"]))
        return {"ticket": f"Nobody knows: {state['question']}\nNearest documents:\n{near}"}

    def known(desk: Desk) -> str:
        return END if desk["status"] == "answered" else "ask_a_person"

    graph = StateGraph(Desk)
    graph.add_node("answer", answer)
    graph.add_node("ask_a_person", ask_a_person)
    graph.add_edge(START, "answer")
    graph.add_conditional_edges("answer", known, ["ask_a_person", END])
    graph.add_edge("ask_a_person", END)
    return graph.compile()


def main(question: str) -> None:
    """Ask once, and show what came of it."""
    with Collection.open(create=False) as collection:
        desk = desk_graph(RAG(collection)).invoke({"question": question})
    sys.stdout.write(desk.get("ticket") or desk["answer"])
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
