"""Merkle tree hash of RFC 9162 (Certificate Transparency 2.0), section 2.1.1, over SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """32 bytes that stand for all leaves in their order; leaves and nodes are hashed apart, so neither passes for one.

    Raises ValueError when there are none.
    """
    if not leaves:
        raise ValueError("a Merkle tree needs at least one leaf")
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]  # an odd one rises as it is, which is the tree of the RFC
    return level[0]
