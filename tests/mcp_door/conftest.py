"""The service of the HTTP door's tests, for those of the MCP door."""

from tests.http.conftest import chat_server, filled_home, home, server, service

__all__ = ["chat_server", "filled_home", "home", "server", "service"]
