"""The command on a terminal, and somebody who types there."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time


class Typist:
    """A person at a terminal in which the command runs."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._leader, follower = pty.openpty()
        self.shown = ""

        def own_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.running = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments], stdin=follower, stdout=follower,
            stderr=follower, env={**environment, "NO_COLOR": "1", "TERM": "dumb"},
            start_new_session=True, preexec_fn=own_terminal,
        )  # fmt: skip
        os.close(follower)

    def press(self, keys: str) -> None:
        os.write(self._leader, keys.encode())

    def sees(self, text: str, seconds: float = 240, *, keys: str = "") -> None:
        """Wait until ``text`` is shown, after what was waited for before; ``keys`` are pressed
        again every few seconds until it is."""
        limit = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < limit, self.shown
            if select.select([self._leader], [], [], 3)[0]:
                self.shown += os.read(self._leader, 65536).decode()
            elif keys:
                self.press(keys)
        self.shown = self.shown.partition(text)[2]

    def close(self) -> None:
        os.close(self._leader)
        self.running.kill()
        self.running.wait(10)
