"""The ``[serve]`` table of the settings: where the service listens, and what it bears."""

from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agents.doors.origins import origin_of
from indexes.settings import Names, load_settings

_MB = 1_000_000


def _origins(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(origin_of, given))


def _public(given: str) -> str:
    return origin_of(given) if given else ""


Origins = Annotated[Names, AfterValidator(_origins)]
PublicUrl = Annotated[str, AfterValidator(_public)]


class ServeSettings(BaseModel):
    """Variables are ``WAGGLE_SERVE_PORT`` and so on; lists are written ``a,b`` there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8400, ge=0, le=65535, description="0 for any that is free")
    hosts: Names = Field(default=(), description="names it is reached by, besides the loopback's")
    public_url: PublicUrl = Field(default="", description="its address to others, behind a proxy")
    origins: Origins = Field(default=(), description="web pages whose scripts may use it")
    require_key: bool = Field(default=False, description="also on the loopback")
    concurrency: int = Field(default=256, ge=1, description="requests at a time")
    key_concurrency: int | None = Field(default=None, ge=1, description="the same, of each key")
    queue: int = Field(default=64, ge=0, description="requests that may wait for their turn")
    queue_seconds: float = Field(default=10.0, gt=0, description="how long they wait")
    connections: int = Field(default=2048, ge=1, description="open at a time")
    rate: int = Field(default=600, ge=0, description="requests a minute of each key; 0 for any")
    body_mb: float = Field(default=4.0, gt=0, description="size of a request, in 10⁶ bytes")
    upload_mb: float = Field(default=200.0, gt=0, description="the same, of an upload")
    key_upload_mb: float = Field(default=10_000.0, ge=0, description="of all of a key; 0 for any")
    read_seconds: float = Field(default=30.0, gt=0, description="for each piece of a request")
    drain_seconds: float = Field(default=20.0, ge=0, description="for answers to end at the end")
    log: Literal["info", "warning", "none"] = "info"

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_local(self.host)

    @property
    def names(self) -> tuple[str, ...]:
        """All names it is reached by, besides the loopback's, in lower case."""
        public = urlsplit(self.public_url).hostname
        return tuple(
            name.lower().rstrip(".") for name in (*self.hosts, *([public] if public else []))
        )

    @property
    def open(self) -> bool:
        """Whether requests without a key are let in: over the loopback only, and not where another
        server in front of it makes foreign requests look local."""
        return self.loopback and not self.names and not self.require_key

    @property
    def body_bytes(self) -> int:
        """The size of a request, in bytes."""
        return int(self.body_mb * _MB)

    @property
    def upload_bytes(self) -> int:
        """The size of an upload, in bytes."""
        return int(self.upload_mb * _MB)

    @property
    def key_upload_bytes(self) -> int:
        """The size of all uploads of a key, in bytes; 0 for any."""
        return int(self.key_upload_mb * _MB)


def load_serve_settings(**options: object) -> ServeSettings:
    """The settings of the service; ``options`` that are not ``None`` win."""
    return load_settings(ServeSettings, "serve", "SERVE_", **options)


def is_local(host: str) -> bool:
    """Whether ``host``, a name or an address, is this machine to itself."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
