"""How replies are sent: whole, or as the events of a stream."""

from typing import Any

STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The reply; with «stream» its events.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
"""What the description of a route says of its streams."""
