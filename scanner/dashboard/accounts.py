"""Who may sign in: a small file of names, roles and argon2 hashes that only its owner can read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from fcntl import LOCK_EX, flock
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from scanner.core.errors import SettingsError

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1000  # hashing is dear: nobody's megabytes are hashed
NAME = re.compile(r"[\w.@+-]{1,64}")
_HASHERS = 2  # at once: each takes 64 MiB for a tenth of a second


class RefusedError(Exception):
    """Somebody may not enter, and why."""


class Role(StrEnum):
    """What somebody may do; each may what the one before may."""

    VIEWER = "viewer"  # look
    REVIEWER = "reviewer"  # answer cases
    ADMIN = "admin"  # see who may sign in, and show people the door

    def may(self, needed: Role) -> bool:
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: Role
    hash: str
    """argon2id, with its salt and cost"""

    @property
    def print(self) -> str:
        """Changes with the password, so that a new one ends old sessions; tells nothing of it."""
        return hashlib.sha256(self.hash.encode()).hexdigest()[:16]


class Accounts:
    """The file, read again when it changes, so that a removed user is out at once."""

    def __init__(self, path: Path, hasher: PasswordHasher | None = None) -> None:
        """
        Args:
            hasher: how dear a password is to check; by default RFC 9106's choice for machines with little memory.
        """
        self._path = path
        self._hasher = hasher or PasswordHasher()
        self._hashing = threading.BoundedSemaphore(_HASHERS)
        self._decoy = self._hasher.hash(secrets.token_hex())
        self._read: tuple[tuple[int, int], str, dict[str, User]] | None = None

    @property
    def secret(self) -> str:
        """Signs sessions; made with the file."""
        return self._load()[0]

    def prepare(self) -> None:
        """Makes the file where there is none, with nobody in it."""
        with self._changing():
            pass

    def users(self) -> dict[str, User]:
        return self._load()[1]

    def check(self, name: str, password: str) -> User | None:
        """The user, if the password is right. Takes as long for a name that is not there."""
        user = self.users().get(name)
        with self._hashing:
            try:
                self._hasher.verify(user.hash if user else self._decoy, password[:LONGEST_PASSWORD])
            except (VerificationError, InvalidHashError):
                return None
        return user

    def add(self, name: str, role: Role, password: str) -> bool:
        """Adds or changes somebody; whether the name is new. Raises SettingsError."""
        if not NAME.fullmatch(name):
            raise SettingsError(f"a user's name is 1 to 64 letters, digits or . @ + - _, not {name!r:.80}")
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise SettingsError(
                f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, not {len(password)}"
            )
        hashed = self._hasher.hash(password)
        with self._changing() as users:
            new = name not in users
            users[name] = User(name, role, hashed)
        return new

    def remove(self, name: str) -> None:
        """Raises SettingsError when there is nobody of that name."""
        with self._changing() as users:
            if users.pop(name, None) is None:
                raise SettingsError(f"no such user: {name!r:.80}")

    @contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        """The users to be changed; whoever else changes them waits."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(self._path.name + ".lock").open("w") as lock:
            flock(lock, LOCK_EX)
            secret, users = self._load()
            users = dict(users)
            yield users
            self._write(secret or secrets.token_hex(32), users)

    def _write(self, secret: str, users: dict[str, User]) -> None:
        text = json.dumps({"secret": secret, "users": [asdict(user) for user in users.values()]}, indent=1)
        scratch = self._path.with_name(self._path.name + ".new")
        scratch.unlink(missing_ok=True)
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        scratch.replace(self._path)

    def _load(self) -> tuple[str, dict[str, User]]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return "", {}
        stamp = status.st_mtime_ns, status.st_ino
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, *self._parsed())
        return self._read[1], self._read[2]

    def _parsed(self) -> tuple[str, dict[str, User]]:
        try:
            written = json.loads(self._path.read_text("utf-8"))
            users = [User(user["name"], Role(user["role"]), user["hash"]) for user in written["users"]]
            return str(written["secret"]), {user.name: user for user in users}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"users file {self._path} cannot be read: {error!r:.200}") from error
