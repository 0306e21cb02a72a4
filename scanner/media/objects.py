"""Archives in S3-compatible stores: what lies under an address, and one object at a time into a file.

s3://bucket/prefix ──list──▶ uri, size, etag ──get, from where the last answer broke off──▶ file, sha256
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError, PreconditionError
from obstore.store import LocalStore, MemoryStore, S3Store

from scanner.core.errors import MediaError, SettingsError, StoreUnavailableError
from scanner.core.text import visible
from scanner.media.store import open_bucket

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

SCHEME = "s3://"
ATTEMPTS = 5
_PAUSE_S = 0.5  # grows with each attempt in a row that brought nothing
_PIECE = 1024 * 1024

Wait = Callable[[int], None]
"""told how many bytes came; takes the time that they may take"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the store described it: another etag or size is another object."""

    uri: str
    key: str
    size: int
    etag: str


class ObjectArchive:
    """One bucket, or what stands for it."""

    def __init__(self, store: S3Store | LocalStore | MemoryStore, root: str) -> None:
        """`root` is the address of the bucket, without a slash at its end."""
        self._store = store
        self._root = root

    def listed(self, key: str) -> Iterator[Stored]:
        """The object of that name, or all below it as below a folder, by name. Raises StoreUnavailableError."""
        with self._ours(f"{self._root}/{key}"):
            one = self._one(key) if key else None
            found = [one] if one else [each for page in obstore.list(self._store, prefix=key or None) for each in page]
        for each in sorted(found, key=lambda each: each["path"]):
            yield Stored(f"{self._root}/{each['path']}", each["path"], each["size"], each["e_tag"] or "")

    def fetch(self, stored: Stored, target: Path, wait: Wait = lambda _: None) -> str:
        """Writes the object; its sha256, hex. An answer that breaks off is asked for again from there on.

        Raises:
            MediaError: it is gone, or not the one that was listed any more.
            StoreUnavailableError: the store does not answer.
        """
        digest, have, barren = hashlib.sha256(), 0, 0
        with target.open("wb") as file:
            while have < stored.size:
                before = have
                try:
                    for piece in self._pieces(stored, have):
                        wait(len(piece))
                        file.write(piece)
                        digest.update(piece)
                        have += len(piece)
                except StoreUnavailableError:
                    barren = 0 if have > before else barren + 1
                    if barren == ATTEMPTS:
                        raise
                    time.sleep(_PAUSE_S * barren)
                else:
                    if have == before:
                        raise MediaError(f"{stored.uri}: ends at byte {have} of {stored.size}")
        return digest.hexdigest()

    def _pieces(self, stored: Stored, start: int) -> Iterator[bytes]:
        with self._ours(stored.uri):
            for answered in self._asked(stored, start):
                yield from (answered[at : at + _PIECE] for at in range(0, len(answered), _PIECE))

    def _asked(self, stored: Stored, start: int) -> Iterator[bytes]:
        wanted: GetOptions = {"range": (start, stored.size)}
        if stored.etag:
            wanted["if_match"] = stored.etag
        answer = obstore.get(self._store, stored.key, options=wanted)
        if answer.meta["size"] != stored.size:
            raise MediaError(f"{stored.uri}: has {answer.meta['size']} bytes, {stored.size} when it was listed")
        yield from (bytes(piece) for piece in answer.stream(min_chunk_size=_PIECE))

    def _one(self, key: str) -> ObjectMeta | None:
        try:
            return obstore.head(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return None

    @contextmanager
    def _ours(self, uri: str) -> Iterator[None]:
        try:
            yield
        except (NotFoundError, FileNotFoundError) as error:
            raise MediaError(f"{uri}: nothing lies there") from error
        except PreconditionError as error:
            raise MediaError(f"{uri}: was changed since it was listed") from error
        except ValueError as error:  # a name that the store's library does not take
            raise MediaError(f"{visible(uri)}: {visible(str(error))}") from error
        except (BaseError, OSError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StoreUnavailableError(f"{uri}: {said:.200}") from error


def archive_at(uri: str, endpoint: str | None) -> tuple[ObjectArchive, str]:
    """The bucket, and the name or prefix in it. Raises SettingsError."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise SettingsError(f"{uri}: an archive in a store is s3://bucket or s3://bucket/prefix")
    return ObjectArchive(open_bucket(parts.netloc, endpoint), f"{SCHEME}{parts.netloc}"), parts.path.strip("/")
