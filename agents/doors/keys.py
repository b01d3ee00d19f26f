"""The keys of the service, ``HOME/keys.json``: whom they let in, and how far.

A secret is told once, when it is made; here stands its SHA-256, which is enough for 256 random
bits. The file is looked at for every request, so what another process changes holds at once.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.doors.origins import origin_of
from agents.doors.rights import RIGHTS, Caller, Right
from indexes.embedding.files import write_atomically
from indexes.errors import AccessError, UnauthorizedError, UsageError
from indexes.home import check_name, sync_folder
from indexes.i18n import t

PREFIX = "wgl_"
_Stamp = tuple[int, int, int]


class KeyRecord(BaseModel):
    """A key without its secret. Times are UTC in ISO 8601."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    sha256: str
    rights: tuple[Right, ...]
    collections: tuple[str, ...] | None = None
    origins: tuple[str, ...] = ()
    rate: int | None = Field(default=None, ge=0)
    concurrency: int | None = Field(default=None, ge=1)
    created: str
    revoked: str | None = None

    @property
    def caller(self) -> Caller:
        """Who sends a request with it."""
        return Caller(
            self.id,
            frozenset(self.rights),
            None if self.collections is None else frozenset(self.collections),
            self.origins,
            self.rate,
            self.concurrency,
        )


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    keys: tuple[KeyRecord, ...] = ()


class Keys:
    """The keys of the service of ``home``. Safe to use from several threads and processes."""

    def __init__(self, home: Path) -> None:
        self._path = home / "keys.json"
        self._seen: tuple[_Stamp | None, Mapping[str, KeyRecord]] | None = None

    def new(
        self,
        name: str,
        rights: Sequence[str] = ("read",),
        collections: Sequence[str] | None = None,
        origins: Sequence[str] = (),
        rate: int | None = None,
        concurrency: int | None = None,
    ) -> tuple[KeyRecord, str]:
        """Make a key; returns it with its secret, which is not kept. Raises `UsageError` for a
        right, collection or origin that cannot be one."""
        secret = _secret()
        record = KeyRecord(
            id=f"key_{secrets.token_hex(4)}",
            name=_checked_name(name),
            sha256=_hashed(secret),
            rights=_checked_rights(rights),
            collections=None if collections is None else tuple(map(check_name, collections)),
            origins=tuple(map(origin_of, origins)),
            rate=rate,
            concurrency=concurrency,
            created=_now(),
        )
        with self._changing() as records:
            records[record.id] = record
        return record, secret

    def caller(self, secret: str) -> Caller:
        """Who has the secret. Raises `UnauthorizedError` where no key has it."""
        record = self._known().get(_hashed(secret))
        if record is None or record.revoked:
            raise UnauthorizedError(
                t("This key does not hold. Make a new one with: waggle serve --new-key NAME")
            )
        return record.caller

    def rotate(self, key: str) -> tuple[KeyRecord, str]:
        """Give the key another secret; the old one does not hold any more. Raises `UsageError`
        where there is no such key, or where it was revoked."""
        secret = _secret()
        with self._changing() as records:
            old = _found(records, key)
            if old.revoked:
                raise UsageError(
                    t("The key «{key}» was revoked. Make a new one with: waggle serve --new-key "
                      "NAME", key=key)
                )  # fmt: skip
            records[key] = new = old.model_copy(update={"sha256": _hashed(secret)})
        return new, secret

    def revoke(self, key: str) -> KeyRecord:
        """Let the key hold no more. Raises `UsageError` where there is no such key."""
        with self._changing() as records:
            old = _found(records, key)
            records[key] = new = old.model_copy(update={"revoked": old.revoked or _now()})
        return new

    def all(self) -> tuple[KeyRecord, ...]:
        """Every key, also those that were revoked, the oldest first."""
        return tuple(self._known().values())

    def any(self) -> bool:
        """Whether there is a key that holds."""
        return any(not record.revoked for record in self.all())

    def origins(self) -> frozenset[str]:
        """The web pages whose scripts may use one key or another."""
        return frozenset(one for r in self.all() if not r.revoked for one in r.origins)

    def _known(self) -> Mapping[str, KeyRecord]:
        """The records by the hash of their secret."""
        seen, stamp = self._seen, _stamp(self._path)
        if seen is None or seen[0] != stamp:
            seen = (stamp, {record.sha256: record for record in self._read()})
            self._seen = seen
        return seen[1]

    def _read(self) -> tuple[KeyRecord, ...]:
        try:
            return _File.model_validate_json(self._path.read_bytes()).keys
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            raise AccessError(
                t("The file of keys {path} cannot be read, so nobody is let in. Restore it, or "
                  "delete it and make new keys with: waggle serve --new-key NAME", path=self._path)
            ) from error  # fmt: skip

    @contextmanager
    def _changing(self) -> Iterator[dict[str, KeyRecord]]:
        """The records by their id, stored where nothing went wrong."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self._path.with_suffix(".lock"), mode=0o600):
            records = {record.id: record for record in self._read()}
            yield records
            kept = _File(keys=tuple(records.values())).model_dump_json(indent=1)
            write_atomically(self._path, kept.encode())
            sync_folder(self._path.parent)


def _stamp(path: Path) -> _Stamp | None:
    """Different for two files that were renamed into place one after the other."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _found(records: Mapping[str, KeyRecord], key: str) -> KeyRecord:
    if key not in records:
        raise UsageError(
            t("There is no key «{key}». See those that there are with: waggle serve --list-keys",
              key=key)
        )  # fmt: skip
    return records[key]


def _checked_name(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > 64:
        raise UsageError(t("A key needs a name of at most 64 printable characters."))
    return name.strip()


def _checked_rights(rights: Sequence[str]) -> tuple[Right, ...]:
    unknown = [right for right in rights if right not in RIGHTS]
    if unknown or not rights:
        raise UsageError(
            t("«{right}» is no right. The rights are: {known}.",
              right=", ".join(unknown), known=", ".join(RIGHTS))
        )  # fmt: skip
    return tuple(right for right in RIGHTS if right in rights)
