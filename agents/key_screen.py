"""The keys at the terminal: made, shown, given another secret, revoked."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agents.doors.keys import KeyRecord, Keys
from agents.shapes import Shape
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.terminal import Terminal


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that somebody wants; ``None`` for all collections, and for the usual rate."""

    name: str
    rights: tuple[str, ...]
    collections: tuple[str, ...] | None
    origins: tuple[str, ...]
    rate: int | None

    @classmethod
    def of(
        cls, name: str, rights: str | None, collections: str | None, origins: str | None,
        rate: int | None,
    ) -> "NewKey":  # fmt: skip
        """From what was typed; lists are written ``a,b``."""
        bound = None if collections is None else _listed(collections)
        return cls(name, _listed(rights or "read"), bound, _listed(origins or ""), rate)


class KeyShape(Shape):
    """A key; ``secret`` is told only where it was just made."""

    id: str
    name: str
    rights: tuple[str, ...]
    collections: tuple[str, ...] | None
    origins: tuple[str, ...]
    rate: int | None
    created: str
    revoked: str | None
    secret: str | None = None

    @classmethod
    def of(cls, record: KeyRecord, secret: str | None = None) -> "KeyShape":
        values = record.model_dump(exclude={"sha256", "concurrency"})
        return cls(**values, secret=secret)


class KeysShape(Shape):
    keys: tuple[KeyShape, ...]


class KeyScreen:
    """What the terminal shows of the keys of ``home``."""

    def __init__(self, terminal: "Terminal", home: Path) -> None:
        self._terminal, self._keys = terminal, Keys(home)

    def make(self, wanted: NewKey) -> None:
        """Make a key and show it."""
        record, secret = self._keys.new(
            wanted.name, wanted.rights, wanted.collections, wanted.origins, wanted.rate
        )
        self._told(record, secret)

    def rotate(self, key: str) -> None:
        """Give it another secret and show that."""
        self._told(*self._keys.rotate(key))

    def revoke(self, key: str) -> None:
        """Let it hold no more."""
        record = self._keys.revoke(key)
        if self._terminal.as_json:
            self._terminal.json(KeyShape.of(record))
        else:
            self._terminal.line(t("The key {key} holds no more.", key=_named(record)))

    def list(self) -> None:
        """Every key, without its secret."""
        records = self._keys.all()
        if self._terminal.as_json:
            self._terminal.json(KeysShape(keys=tuple(map(KeyShape.of, records))))
            return
        if not records:
            self._terminal.notice(t("There is no key. Make one with: waggle serve --new-key NAME"))
        for record in records:
            self._terminal.line(f"{_named(record)}  {_reach(record)}")

    def _told(self, record: KeyRecord, secret: str) -> None:
        if self._terminal.as_json:
            self._terminal.json(KeyShape.of(record, secret))
            return
        self._terminal.line(secret)
        self._terminal.notice(
            t("This is the key {key}. It is shown this once; keep it where nobody else reads.",
              key=_named(record))
        )  # fmt: skip


def _named(record: KeyRecord) -> str:
    return f"{record.id} «{record.name}»"


def _reach(record: KeyRecord) -> str:
    """What it may do, in one line."""
    if record.revoked:
        return t("revoked {when}", when=record.revoked)
    bound = record.collections
    parts = [", ".join(record.rights)]
    parts.append(t("all collections") if bound is None else ", ".join(bound))
    parts += [", ".join(record.origins)] if record.origins else []
    return " · ".join(parts)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
