"""The operator's signature: Ed25519 (RFC 8032) by `cryptography`, keys as PEM files."""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from scanner.core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Checks what the operator signed."""

    key: Ed25519PublicKey

    @classmethod
    def parse(cls, pem: bytes, where: str) -> PublicKey:
        """Raises SettingsError, naming `where` it came from."""
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SettingsError(f"{where} is no public key in PEM: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise SettingsError(f"{where} is a {type(key).__name__}, not an Ed25519 key")
        return cls(key)

    @property
    def pem(self) -> bytes:
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def key_id(self) -> str:
        """32 hex digits of the digest of the raw key; people compare it over the telephone."""
        return hashlib.sha256(self.key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:32]

    def signed(self, message: bytes, signature: str) -> bool:
        """Whether the base64 text is this key's signature of the message."""
        try:
            self.key.verify(b64decode(signature, validate=True), message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """Signs for the operator."""

    key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> PrivateKey:
        """Raises SettingsError."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise SettingsError(f"key {path}: {error.strerror or error}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SettingsError(f"key {path} is no private key in PEM without a passphrase: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingsError(f"key {path} is a {type(key).__name__}, not an Ed25519 key")
        return cls(key)

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.key.public_key())

    def sign(self, message: bytes) -> str:
        """Base64 text."""
        return b64encode(self.key.sign(message)).decode()


def generate(path: Path) -> tuple[PrivateKey, Path]:
    """A fresh key, readable by its owner alone, and its public half beside it (`.pub`). Overwrites nothing.

    Raises SettingsError.
    """
    private = PrivateKey(Ed25519PrivateKey.generate())
    public_path = path.with_name(f"{path.name}.pub")
    pem = private.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        for target, content, mode in ((path, pem, 0o600), (public_path, private.public.pem, 0o644)):
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
    except OSError as error:
        raise SettingsError(f"key {error.filename}: {error.strerror or error}; a key is never overwritten") from error
    return private, public_path
