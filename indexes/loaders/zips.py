"""ZIP archives, opened only after their directory has been found harmless."""

import zipfile
from io import BytesIO

from indexes.errors import LoadError
from indexes.i18n import t

_MAX_MEMBERS = 20_000
_MAX_BYTES = 512 * 1024 * 1024
_SMALL = 32 * 1024 * 1024
# Office XML shrinks 10 to 60 times, a run of one byte 1000 times.
_MAX_RATIO = 150


def open_zip(data: bytes) -> zipfile.ZipFile:
    """The archive, readable: members are no larger than they declare, and declare modest sizes.

    Raises:
        LoadError: damaged, encrypted, or a ZIP bomb.
    """
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise LoadError(
            t("The file is damaged: its ZIP directory is unreadable. Get a fresh copy.")
        ) from error
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise LoadError(
            t("The file is a ZIP archive of {count} parts; no document has so many. It was not "
              "opened.", count=len(members))
        )  # fmt: skip
    total = sum(m.file_size for m in members)
    packed = max(1, sum(m.compress_size for m in members))
    if total > _MAX_BYTES or (total > _SMALL and total > _MAX_RATIO * packed):
        raise LoadError(
            t("The file would unpack to {megabytes} MB, as a ZIP bomb does. It was not opened.",
              megabytes=total // 1_000_000)
        )  # fmt: skip
    if any(m.flag_bits & 1 for m in members):
        raise LoadError(t("The file is password protected. Save it without a password."))
    return archive


def refuse_entities(archive: zipfile.ZipFile) -> None:
    """Office files have no document type; one that has it wants its entities expanded.

    Raises:
        LoadError: an XML part declares a document type.
    """
    for member in archive.infolist():
        if member.filename.endswith((".xml", ".rels")):
            with archive.open(member) as part:
                head = part.read(4096).replace(b"\0", b"")
            if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                raise LoadError(t("The file defines XML entities. It was not opened."))
