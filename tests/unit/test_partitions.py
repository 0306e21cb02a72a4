"""Keys go where Kafka's own clients put them."""

from __future__ import annotations

import pytest

from scanner.bus.partitions import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "expected"),  # from the unit tests of Apache Kafka's Java client, as signed 32-bit numbers
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_the_java_clients(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % 2**32


def test_keys_spread_over_all_partitions() -> None:
    assert {partition_of(f"cam-{i}".encode(), 12) for i in range(200)} == set(range(12))
