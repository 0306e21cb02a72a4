"""Where the bytes behind claim checks lie: folders, S3 buckets, web hosts, and none but those the operator named.

file:///srv/clips/a.mp4  below one of the file roots      s3://bucket/key  in one of the buckets
https://host/a.mp4       on one of the hosts (see web.py); read, never written
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from scanner.core.errors import ClaimRefusedError, ClaimUnavailableError
from scanner.core.text import visible
from scanner.core.types import Claim
from scanner.media.web import Web, WebLimits

# An object store that is there answers within seconds; the worker waits and asks again anyway.
_CONNECT = timedelta(seconds=5)
_ANSWER = timedelta(seconds=30)
_RETRIES = 2
_SIGNED_FOR = timedelta(minutes=5)
_GONE_FROM_S3 = frozenset((404, 410))  # not 403: wrong credentials are this machine's fault, and may be mended
_OF_THE_NAME = frozenset((errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EINVAL))


@dataclass(frozen=True, slots=True)
class _Spot:
    """A claim's place: a store that may be asked, and a path in it."""

    store: LocalStore | S3Store
    path: str


class ObjectStore:
    """Gets and puts whole segments; what is outside the allow-list, too large, or not the promised bytes is refused."""

    def __init__(
        self,
        *,
        file_roots: Iterable[Path] = (),
        s3_buckets: Iterable[str] = (),
        s3_endpoint: str | None = None,
        https_hosts: Iterable[str] = (),
        https_limits: WebLimits | None = None,
        max_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self._file_roots = tuple(root.resolve() for root in file_roots)
        self._s3_buckets = frozenset(s3_buckets)
        self._s3_endpoint = s3_endpoint
        self._web = Web(https_hosts, https_limits)
        # The operator named the endpoint, or it is Amazon's, which may have a private address in a private cloud.
        self._s3_web = Web((), WebLimits(_ANSWER.total_seconds(), private_addresses=True))
        self._max_bytes = max_bytes
        self._opened: dict[str, S3Store] = {}

    def get(self, uri: str, size: int, sha256: str) -> bytes:
        """The bytes, checked.

        Raises:
            ClaimRefusedError: this claim must not be followed, or does not keep its promise.
            ClaimUnavailableError: the store does not answer.
        """
        if not 0 < size <= self._max_bytes:
            raise ClaimRefusedError(f"{uri}: {size} bytes claimed, from 1 to {self._max_bytes} are taken")
        payload = self._web.get(uri, size) if uri.startswith("https://") else self._stored(uri, size)
        digest = hashlib.sha256(payload).hexdigest()
        if digest != sha256.lower():
            raise ClaimRefusedError(f"{uri}: sha256 {sha256[:12]}… claimed, the bytes are {digest[:12]}…")
        return payload

    def _stored(self, uri: str, size: int) -> bytes:
        spot = self._spot(uri)
        if isinstance(spot.store, S3Store):
            # Signed there, fetched here: the store's library follows redirects, wherever they lead.
            with _ours(uri):
                url = obstore.sign(spot.store, "GET", spot.path, _SIGNED_FOR)
            return self._s3_web.fetch(url, size, called=uri, gone=_GONE_FROM_S3)
        root = Path(spot.store.prefix or "/")
        with _ours(uri), _opened(uri, root / spot.path, root) as file:
            actual = os.fstat(file.fileno()).st_size
            if actual != size:
                raise ClaimRefusedError(f"{uri}: {size} bytes claimed, {actual} are there")
            return file.read(size)

    def put(self, root: str, name: str, payload: bytes) -> Claim:
        """Stores a segment below `root` (file:///folder or s3://bucket/prefix) and returns its claim.

        Raises:
            ClaimRefusedError: `root` is not on the allow-list: nobody could read the claim.
            ClaimUnavailableError: the store does not answer.
        """
        uri = f"{root.rstrip('/')}/{quote(name)}"
        spot = self._spot(uri)
        with _ours(uri):
            obstore.put(spot.store, spot.path, payload)
        return Claim(uri, len(payload), hashlib.sha256(payload).hexdigest())

    def _spot(self, uri: str) -> _Spot:
        try:
            return self._found(uri)
        except (ValueError, RuntimeError) as error:  # an address that is none; links in a circle
            raise ClaimRefusedError(f"{visible(uri)}: {error}") from error
        except OSError as error:
            kind = ClaimRefusedError if error.errno in _OF_THE_NAME else ClaimUnavailableError
            raise kind(f"{visible(uri)}: {error.strerror}") from error

    def _found(self, uri: str) -> _Spot:
        parts = urlsplit(uri)
        if parts.query or parts.fragment:
            raise ClaimRefusedError(f"{uri}: a claim has no query and no fragment")
        if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
            return self._file(uri, unquote(parts.path))
        if parts.scheme == "s3":
            return self._s3(uri, parts.netloc, unquote(parts.path).lstrip("/"))
        raise ClaimRefusedError(f"{uri}: claims are file:///…, s3://… or https://…")

    def _file(self, uri: str, path: str) -> _Spot:
        if "\0" in path:
            raise ClaimRefusedError(f"{uri!r}: not a path")
        # Links are followed first: one below a root that leads out of it is refused.
        target = Path(path).resolve()
        for root in self._file_roots:
            if target.is_relative_to(root) and target != root:
                if not root.is_dir():
                    raise ClaimUnavailableError(f"{uri}: the folder {root} is not there")
                if target.exists() and not target.is_file():
                    raise ClaimRefusedError(f"{uri}: not a file")
                return _Spot(LocalStore(root, mkdir=False), target.relative_to(root).as_posix())
        raise ClaimRefusedError(f"{uri}: outside the folders that claims.file_roots names")

    def _s3(self, uri: str, bucket: str, key: str) -> _Spot:
        if bucket not in self._s3_buckets:
            raise ClaimRefusedError(f"{uri}: not in a bucket that claims.s3_buckets names")
        if not key or any(part in {"", ".", ".."} for part in key.split("/")):
            raise ClaimRefusedError(f"{uri}: not a key")
        if bucket not in self._opened:
            self._opened[bucket] = open_bucket(bucket, self._s3_endpoint)
        return _Spot(self._opened[bucket], key)


@contextmanager
def _opened(uri: str, target: Path, root: Path) -> Iterator[BinaryIO]:
    """The file, looked at again once it is open: a folder on its way may have become a link since it was allowed."""
    descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        really = Path(f"/proc/self/fd/{descriptor}")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ClaimRefusedError(f"{uri}: not a file")
        if really.parent.is_dir() and not really.resolve().is_relative_to(root):
            raise ClaimRefusedError(f"{uri}: outside the folders that claims.file_roots names")
        yield file


def open_bucket(bucket: str, endpoint: str | None) -> S3Store:
    """Credentials and region come from the AWS_… variables, as for every S3 client."""
    plain = endpoint is not None and endpoint.startswith("http://")
    return S3Store(
        bucket,
        config={} if endpoint is None else {"endpoint": endpoint},
        client_options={"connect_timeout": _CONNECT, "timeout": _ANSWER, "allow_http": plain},
        retry_config={"max_retries": _RETRIES, "retry_timeout": _ANSWER},
    )


@contextmanager
def _ours(uri: str) -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise ClaimRefusedError(f"{uri}: nothing lies there") from error
    except ValueError as error:  # a path that the store's library does not take
        raise ClaimRefusedError(f"{visible(uri)}: {visible(str(error))}") from error
    except (BaseError, OSError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClaimUnavailableError(f"{uri}: {said:.200}") from error
