"""What locust runs: users who ask one question after the other, each as soon as it has its answer.

``locust -f users.py`` with variables: ``LOAD_URL``, the root of the protocol, and ``LOAD_MODEL``;
``LOAD_QUESTIONS``, a JSON file with a list; ``LOAD_EACH``, how many each user asks, or 0 for as
many as the time allows; ``LOAD_PAUSE``, seconds between them; ``LOAD_NAME``, what the names of the
questions begin with; ``LOAD_RECORDS``, the file that gets a JSON object for each.
"""

import itertools
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import User, events, task  # type: ignore[import-not-found]
from locust.exception import StopUser  # type: ignore[import-not-found]

sys.path.insert(0, str(Path(__file__).resolve().parent))
import asking  # type: ignore[import-not-found]

_URL, _MODEL = os.environ["LOAD_URL"], os.environ["LOAD_MODEL"]
_QUESTIONS = json.loads(Path(os.environ["LOAD_QUESTIONS"]).read_text("utf-8"))
_EACH, _PAUSE = int(os.environ["LOAD_EACH"]), float(os.environ.get("LOAD_PAUSE", "0"))
_NAME = os.environ["LOAD_NAME"]
_RECORDS = Path(os.environ["LOAD_RECORDS"]).open("w", encoding="utf-8")  # noqa: SIM115
_numbers = itertools.count()


class Reader(User):  # type: ignore[misc]
    """Asks, reads the whole answer, asks again."""

    def on_start(self) -> None:
        """Begin at a question of its own."""
        self.number, self.asked = next(_numbers), 0

    @task  # type: ignore[untyped-decorator]
    def read(self) -> None:
        """One question."""
        at = self.number * 7 + self.asked
        ref = f"{_NAME}-{self.number}-{self.asked}"
        record = asking.ask(_URL, _MODEL, _QUESTIONS[at % len(_QUESTIONS)], ref)
        _RECORDS.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
        good = record.status == 200 and record.whole
        events.request.fire(
            request_type="STREAM", name=_NAME, response_length=len(record.text),
            response_time=(record.ended - record.sent) * 1000, context={},
            exception=None if good or record.status == 429 else RuntimeError(record.error),
        )  # fmt: skip
        self.asked += 1
        if self.asked == _EACH:
            _Left.one(self.environment)
            raise StopUser
        gevent.sleep(_PAUSE)


class _Left:
    """Users that have not asked all."""

    count = 0

    @classmethod
    def one(cls, environment: Any) -> None:
        """One has; the last one ends the run."""
        cls.count += 1
        if cls.count >= environment.parsed_options.num_users:
            gevent.spawn_later(0.2, environment.runner.quit)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _close(**_: Any) -> None:
    _RECORDS.close()
    time.sleep(0)
