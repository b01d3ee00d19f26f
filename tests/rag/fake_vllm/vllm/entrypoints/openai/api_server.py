"""A program that behaves like vLLM's server where starting and stopping it is concerned.

``FAKE_VLLM`` is a JSON object: ``load`` seconds until it answers, ``dies`` the text that it ends
with instead, ``code`` its exit status then, ``stubborn`` for one that does not heed SIGTERM,
``worker`` a file for the number of its child process, ``mute`` for one that writes nothing,
``later`` the text that it ends with once it has been asked for its models.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STAMP = "(APIServer pid=7) INFO 11-24 07:15:00 [loader.py:1]"


def say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def serve(host: str, port: int, wishes: dict[str, Any]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/v1/models" and "later" in wishes:
                end(wishes["later"], 1)
            pages = {"/health": "", "/v1/models": '{"data": [{"id": "m", "max_model_len": 4096}]}'}
            self.send_response(200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, "").encode())

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer((host, port), Handler).serve_forever()


def end(text: str, code: int) -> None:
    say(text)
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    wishes: dict[str, Any] = json.loads(os.environ["FAKE_VLLM"])
    if wishes.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "worker" in wishes:
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(wishes["worker"]).write_text(str(worker.pid), "utf-8")
    begun = time.monotonic()
    while time.monotonic() < begun + wishes.get("load", 0):
        if not wishes.get("mute"):
            say(f"{STAMP} Starting to load model\n")
            say("\rLoading safetensors checkpoint shards:  50% Completed | 1/2 [00:01<00:01]")
        time.sleep(0.1)
    if "dies" in wishes:
        end(wishes["dies"], wishes.get("code", 1))
    say(f"\n{STAMP} GPU KV cache size: 121,504 tokens, Maximum concurrency for 8,192 tokens per ")
    say("request: 14.83x\n")
    threading.Thread(target=serve, args=(arguments.host, arguments.port, wishes)).start()


if __name__ == "__main__":
    main()
