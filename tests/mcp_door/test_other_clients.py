"""Clients that others wrote, and our own agent's, unchanged."""

from pathlib import Path

from langchain_core.messages import ToolMessage
from langchain_mcp_adapters.client import MultiServerMCPClient

from agents.toolbox.mcp_client import close_connections, mcp_tools
from agents.toolbox.mcp_settings import McpServer
from tests.http.serving import CHINESE, Running
from tests.mcp_door.clients import run


def test_langchain_s_adapters(server: Running) -> None:
    async def work() -> None:
        connection = {"transport": "streamable_http", "url": f"{server.url}/mcp"}
        client = MultiServerMCPClient({"waggle": connection})  # type: ignore[dict-item]
        tools = {tool.name: tool for tool in await client.get_tools()}
        assert tools.keys() == {"search", "fetch", "ask", "index"}
        call = {"args": {"question": "椴树什么时候开花？"}, "name": "ask", "id": "1"}
        answer: ToolMessage = await tools["ask"].ainvoke({**call, "type": "tool_call"})
        assert "花期" in str(answer.content)
        assert answer.artifact["structured_content"]["status"] == "answered"
        contents = [blob.as_string() for blob in await client.get_resources("waggle")]
        assert CHINESE in contents
        (message,) = await client.get_prompt(
            "waggle", "short", arguments={"question": "洋槐什么时候开花？"}
        )
        assert "洋槐在五月初开花" in str(message.content)

    run(work)


def test_our_own_agent_s(server: Running, tmp_path: Path) -> None:
    place = McpServer(url=f"{server.url}/mcp/bees", effects={"search": "read"})
    try:
        tools = {tool.name: tool for tool in mcp_tools({"library": place}, tmp_path)}
        assert "tells the distance" in tools["library_search"].invoke({"query": "waggle run"})
    finally:
        close_connections()
