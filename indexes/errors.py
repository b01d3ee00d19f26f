"""Every error that Waggle raises on purpose.

::

    WaggleError                    exit code 1: what happened, and what to do about it
    ├── UsageError                 exit code 2: the request itself is wrong
    ├── SourceError                a path or address that cannot be indexed
    │   └── LoadError              one file whose text cannot be extracted
    ├── CollectionError            the index cannot serve the request
    │   ├── UnknownCollectionError no collection of that name
    │   ├── UnknownSourceError     no document of that name in the collection
    │   ├── LockedError            another process is writing
    │   ├── EmbedderMismatchError  the collection was made with another embedding model
    │   └── DamagedError           a stored file does not hold what was written
    ├── RunError                   an agent's run cannot be kept, or gone on with
    ├── AccessError                a door of the service stays closed to the request
    │   ├── UnauthorizedError      no key, or one that does not hold
    │   ├── ForbiddenError         the key lacks the right
    │   ├── UnknownItemError       nothing of that id is there for the key
    │   └── BusyError              too many requests at a time, or too soon
    └── ModelError                 a model cannot be used
        ├── ModelFileError         the weights are missing, incomplete or not the ones named
        ├── StructuredOutputError  a model does not write the object it was asked for
        └── EndpointError          a model server does not answer, or answers badly
            └── ContextOverflowError   the prompt is longer than the model can take in

A message is one or two sentences in the user's language: the first tells what happened, the
second what to do. Mistakes of our own code are not in this tree; they surface as they are.
"""


class WaggleError(Exception):
    """Root of the tree; ``str(error)`` is what the user reads."""

    exit_code = 1


class UsageError(WaggleError):
    """The request is malformed: an empty question, a bad filter, a bad option value."""

    exit_code = 2


class QuotaError(UsageError):
    """The request would take more room than there is for whoever sends it."""


class SourceError(WaggleError):
    """A path or address does not exist, may not be read, or holds nothing to index."""


class LoadError(SourceError):
    """The text of one file cannot be extracted; the other files of the run go on."""


class CollectionError(WaggleError):
    """The collection cannot serve the request."""


class UnknownCollectionError(CollectionError):
    """No collection has that name."""


class UnknownSourceError(CollectionError):
    """The collection holds no document of that name."""


class LockedError(CollectionError):
    """Another process holds the collection's write lock."""


class EmbedderMismatchError(CollectionError):
    """The collection's vectors come from another embedding model."""


class DamagedError(CollectionError):
    """A stored file does not hold what was written."""


class RunError(WaggleError):
    """What an agent's run has done cannot be written down, or is not to be read any more."""


class AccessError(WaggleError):
    """A door of the service stays closed to the request."""


class UnauthorizedError(AccessError):
    """The request brings no key, or one that does not hold (any more)."""


class ForbiddenError(AccessError):
    """The key holds, and lacks the right that the request needs."""


class UnknownItemError(AccessError):
    """Nothing of that id is there, or nothing that the key may know of: a file, a response."""


class BusyError(AccessError):
    """Too much is asked at a time, or too soon; ``retry_after`` seconds later it may be asked."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelError(WaggleError):
    """A model cannot be used."""


class ModelFileError(ModelError):
    """Weights are missing, incomplete, or differ from the published checksum."""


class StructuredOutputError(ModelError):
    """A model does not write the object it was asked for; ``written`` is its last reply,
    ``tokens`` are those that it has read and written in all its attempts."""

    def __init__(self, message: str, written: str = "", tokens: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        self.written, self.tokens = written, tokens


class EndpointError(ModelError):
    """A model server does not answer, or answers something that is not its protocol."""

    partial: str = ""
    """What had come of a streamed answer before the server failed."""


class ContextOverflowError(EndpointError):
    """Prompt and room for the answer exceed what the model can take in."""
