"""Who asks, and what it may."""

from dataclasses import dataclass
from typing import Literal, get_args

from indexes.errors import ForbiddenError
from indexes.i18n import t

Right = Literal["read", "write", "agent"]
RIGHTS: tuple[Right, ...] = get_args(Right)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sends a request: the id of its key, or «local» where none is needed.

    ``collections`` are those it sees, ``None`` for all; ``origins`` the web pages whose scripts may
    use the key. ``rate`` is its requests a minute, ``concurrency`` how many run at a time; ``None``
    leaves both to the settings.
    """

    key: str
    rights: frozenset[Right]
    collections: frozenset[str] | None = None
    origins: tuple[str, ...] = ()
    rate: int | None = None
    concurrency: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine and needs no key."""
        return self.key == "local"

    def sees(self, name: str) -> bool:
        """Whether the collection ``name`` is among those that it may know of."""
        return self.collections is None or name in self.collections

    def check(self, right: Right) -> None:
        """Raises `ForbiddenError` where the right is missing."""
        if right not in self.rights:
            raise ForbiddenError(
                t(
                    "This key lacks the right «{right}». Make one that has it, with: "
                    "waggle serve --new-key NAME --rights {right}",
                    right=right,
                )
            )


LOCAL = Caller("local", frozenset(RIGHTS))
"""Who asks over the loopback without a key."""
