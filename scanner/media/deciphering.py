"""AES-128 as HLS uses it (RFC 8216, 4.3.2.4): whole segments in CBC, padded by PKCS7, by `cryptography`."""

from __future__ import annotations

from collections.abc import Generator

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from scanner.core.errors import MediaError


def deciphered(chunks: Generator[bytes, None, None], key: str, vector: str) -> Generator[bytes, None, None]:
    """As they come; nothing of nothing.

    Args:
        key: in hexadecimal digits, as is `vector`.

    Raises:
        MediaError: it is damaged or the key does not fit; not before the last chunk, where the padding shows it.
    """
    cipher = Cipher(AES128(bytes.fromhex(key)), CBC(bytes.fromhex(vector))).decryptor()
    padding = PKCS7(AES128.block_size).unpadder()
    some = False
    for chunk in chunks:
        some = True
        yield padding.update(cipher.update(chunk))
    if some:
        try:
            yield padding.update(cipher.finalize()) + padding.finalize()
        except ValueError as error:
            raise MediaError("an encrypted segment that is damaged, or whose key does not fit") from error
