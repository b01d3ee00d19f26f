"""The page's files, and the routes below ``/api`` that it lives on."""

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

import agents.http
from agents.doors.feedback import Feedback, Opinion, _shares
from agents.doors.service import Service
from agents.http.page import POLICY, assets
from tests.http.chatting import ChatServer
from tests.http.serving import ENGLISH, NAME

ASSETS = Path(agents.http.__file__).parent / "assets"
QUESTION = "How long does the waggle run last for a kilometre?"


def events(client: TestClient, **body: object) -> list[dict[str, object]]:
    response = client.post("/api/ask", json={"collection": NAME, "question": QUESTION, **body})
    assert response.status_code == 200, response.text
    lines = response.text.split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_the_page_runs_nothing_but_its_own_files(client: TestClient) -> None:
    response = client.get("/")
    assert response.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert response.headers["x-frame-options"] == "DENY"
    html = response.text
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)
    assert scripts
    assert all("src=" in attributes and not body.strip() for attributes, body in scripts)
    assert not re.search(r"<style|style=|\son\w+=", html)


def test_every_file_that_the_page_names_is_there(client: TestClient) -> None:
    named = set(re.findall(r'(?:src|href)="(assets/[^"]+)"', client.get("/").text))
    for asset in ASSETS.glob("*.js"):
        text = asset.read_text("utf-8")
        named |= {f"assets/{name}" for name in re.findall(r'from "\./([^"]+)"', text)}
        named |= {f"assets/{name}" for name in re.findall(r'"(\w+\.(?:css|svg))"', text)}
    assert "assets/main.js" in named
    assert "assets/widget.css" in named
    for path in named:
        assert client.get(f"/{path}").status_code == 200, path


def test_nothing_in_the_files_leads_elsewhere() -> None:
    for asset in ASSETS.iterdir():
        text = asset.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        addresses = re.findall(r"https?://(?!…)[\w.]+", text)
        assert not addresses, asset.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text
                             .replace("there is no innerHTML", ""))  # fmt: skip


def test_a_browser_keeps_the_files_it_has(client: TestClient) -> None:
    first = client.get("/assets/main.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = client.get("/assets/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/assets/", "/assets/none.js", "/assets/..%2fpage.py", "/assets/index.html"]
)
def test_only_the_files_of_the_page_are_given(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_all_files_have_a_type_and_are_in_the_package() -> None:
    assert {asset.name for asset in ASSETS.iterdir()} == set(assets())


def test_every_word_of_the_page_is_said_in_both_languages() -> None:
    words = (ASSETS / "words.js").read_text("utf-8")
    known = dict(re.findall(r"^  (\w+): \[(.*?)\],$", words, re.MULTILINE | re.DOTALL))
    code = "".join(p.read_text("utf-8") for p in ASSETS.glob("*.js") if p.name != "words.js")
    code += words.partition("\n};\n")[2]
    used = set(re.findall(r'say\((?:\w+ \? "\w+" : )?"(\w+)"', code))
    assert used
    assert used <= set(known)
    computed = {"verbatim", "entailed", "ask_placeholder", "agent_placeholder"}
    for key, pair in known.items():
        assert f'"{key}"' in code or key in computed, f"{key} is said nowhere"
        english, chinese = re.findall(r'"((?:[^"\\]|\\.)*)"', pair)
        if key != "language":
            assert re.search(r"[一-鿿]", chinese), key
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", chinese)), key


def test_an_answer_comes_as_events(client: TestClient) -> None:
    found, *tokens, finished = events(client)
    assert found["event"] == "retrieved"
    assert {e["event"] for e in tokens} == {"token"}
    answer = finished["answer"]
    assert isinstance(answer, dict)
    assert "".join(str(e["text"]) for e in tokens).strip() == answer["answer"]
    citation = answer["citations"][0]
    query = {"source": citation["source"], "start": citation["start"], "end": citation["end"]}
    text = client.get(f"/api/collections/{NAME}/text", params=query).json()
    assert text["quote"] == citation["quote"]
    assert text["before"] + text["quote"] + text["after"] == ENGLISH


def test_candidates_are_written_side_by_side(client: TestClient) -> None:
    came = events(client, candidates=3)
    finished = [e["candidate"] for e in came if e["event"] == "finished"]
    assert sorted(map(str, finished)) == ["0", "1", "2"]


def test_a_conversation_is_taken_along(client: TestClient, chat_server: ChatServer) -> None:
    history = [{"question": "Who dances?", "answer": "A forager named Zephyrine."}]
    events(client, history=history)
    assert "Zephyrine" in json.dumps(chat_server.requests)


def test_a_question_that_is_no_question_is_refused(client: TestClient) -> None:
    for body in ({"question": ""}, {"question": QUESTION, "candidates": 9},
                 {"question": QUESTION, "unknown": 1}):  # fmt: skip
        response = client.post("/api/ask", json={"collection": NAME, **body})
        assert response.status_code == 400
        assert response.json()["error"]["message"]


def test_the_documents_are_listed_and_removed(client: TestClient) -> None:
    listed = client.get(f"/api/collections/{NAME}/documents").json()["documents"]
    assert [Path(d["source"]).name for d in listed] == ["dance.md", "花期.txt"]
    source = listed[0]["source"]
    path = f"/api/collections/{NAME}/documents"
    for other in (str(Path(source).parent), Path(source).name):
        assert client.delete(path, params={"source": other}).status_code == 404
    receipt = client.delete(path, params={"source": source}).json()
    assert receipt["removed"] == [source]
    left = client.get(path).json()["documents"]
    assert [Path(d["source"]).name for d in left] == ["花期.txt"]


def test_a_text_is_cut_where_characters_end(client: TestClient) -> None:
    listed = client.get(f"/api/collections/{NAME}/documents").json()["documents"]
    query = {"source": listed[1]["source"], "start": 7, "end": 9, "around": 3}
    text = client.get(f"/api/collections/{NAME}/text", params=query).json()
    assert (text["begin"], text["until"]) == (4, 12)
    assert (text["before"], text["quote"], text["after"]) == ("期\n\n", "洋槐", "在五月")
    beyond = {**query, "start": 10_000, "end": 20_000}
    assert client.get(f"/api/collections/{NAME}/text", params=beyond).json()["quote"] == ""


def test_collections_come_and_go(client: TestClient) -> None:
    assert client.post("/api/collections", json={"name": "letters"}).status_code == 201
    named = [c["name"] for c in client.get("/api/collections").json()["collections"]]
    assert named == [NAME, "letters"]
    assert client.delete("/api/collections/letters").status_code == 204
    assert client.get("/api/collections/letters/documents").status_code == 404


def test_an_opinion_is_kept(client: TestClient, service: Service) -> None:
    said = {"kind": "chosen", "collection": NAME, "question": "Q?", "answer": "A", "others": ["B"]}
    assert client.post("/api/feedback", json=said).status_code == 204
    (line,) = service.feedback.kept()
    assert {k: line[k] for k in said} == said
    assert line["key"] == "local"
    assert client.post("/api/feedback", json={**said, "kind": "loved"}).status_code == 400
    assert client.post("/api/feedback", json={**said, "collection": "no"}).status_code == 404


def test_opinions_do_not_fill_the_disk(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path, most_bytes=2000)
    for number in range(100):
        feedback.keep("k", Opinion("copied", "bees", f"question {number}", "x" * 100))
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert max(sizes) <= 2000
    assert len(sizes) == 2
    assert list(feedback.kept())[-1]["question"] == "question 99"
    with (tmp_path / "feedback.jsonl").open("a") as file:
        file.write('{"cut off')
    assert list(feedback.kept())[-1]["question"] == "question 99"


def test_a_key_that_says_much_pushes_out_no_other(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path, most_bytes=4000)
    for key in ("quiet", "modest"):
        feedback.keep(key, Opinion("helpful", "bees", f"question of {key}", "A"))
    for number in range(200):
        feedback.keep("loud", Opinion("copied", "bees", f"question {number}", "x" * 100))
    said = list(feedback.kept())
    assert [line["key"] for line in said[:2]] == ["quiet", "modest"]
    numbers = [int(line["question"].split()[1]) for line in said[2:]]
    assert numbers == list(range(200 - len(numbers), 200))
    assert len(numbers) > 10
    assert all(path.stat().st_size <= 4000 for path in tmp_path.iterdir())


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 1000), min_size=1), st.integers(0, 5000))
def test_whoever_is_cut_has_no_less_than_any_other(sizes: dict[str, int], total: int) -> None:
    shares = _shares(sizes, total)
    assert sum(shares.values()) == min(total, sum(sizes.values()))
    for key, share in shares.items():
        assert share == sizes[key] or share >= max(shares.values()) - 1


def test_an_opinion_is_not_a_book(client: TestClient, service: Service) -> None:
    said = {"kind": "chosen", "collection": NAME, "question": "Q?", "answer": "A",
            "others": ["x" * 39_000] * 2}  # fmt: skip
    refused = client.post("/api/feedback", json=said)
    assert refused.status_code == 400
    assert "64000 bytes" in refused.json()["error"]["message"]
    assert list(service.feedback.kept()) == []
