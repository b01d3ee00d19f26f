"""How replies are sent: whole, or as the events of a stream."""

from typing import Any

from agents.http.sse import STREAM

STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The reply; with «stream» its events.",
        "content": STREAM,
    }
}
"""What the description of a route says of its streams."""
