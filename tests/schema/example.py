"""A service for whoever tries its description out: `waggle serve` as it is, over an embedder of
hashed words and a chat server that quotes.

::

    python -m tests.schema.example HOME [--key]

prints one line of JSON, its ``url`` and, with ``--key``, a ``key`` with all rights, and serves
until a signal ends it.
"""

import argparse
import json
import sys
from pathlib import Path

from agents.http.running import address, bind, serve
from tests.http.chatting import chatting
from tests.http.serving import fill_home, opened


def main() -> None:
    """Fill the home and serve it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--key", action="store_true")
    arguments = parser.parse_args()
    fill_home(arguments.home, "default")
    limits = {"rate": 0, "log": "warning", "read_seconds": 5.0}
    with (
        chatting() as chat,
        opened(arguments.home, chat.url, require_key=arguments.key, **limits) as service,
    ):
        told = {}
        if arguments.key:
            _, told["key"] = service.keys.new("all", ["read", "write", "agent"], rate=0)
        listening = bind("127.0.0.1", 0)
        sys.stdout.write(json.dumps({"url": address(listening), **told}) + "\n")
        sys.stdout.flush()
        serve(service, listening, lambda text: None)


if __name__ == "__main__":
    main()
