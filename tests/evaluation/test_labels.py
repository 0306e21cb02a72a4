"""Label files: what is read, and what is refused with the line it stands on."""

from __future__ import annotations

import pytest

from scanner.core.errors import SettingsError
from scanner.evaluation.labels import read_labels


@pytest.fixture
def table(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")

    def write(text: str):
        path = tmp_path / "labels.csv"
        path.write_text(text, "utf-8")
        return path

    return write


def test_what_is_not_known_has_a_stand_in(table, tmp_path) -> None:
    (item,) = read_labels(table("file,label\na.mp4,fake\n"), tmp_path)
    assert (item.fake, item.family, item.method, item.person, item.source) == (
        True,
        "unknown",
        "unknown",
        "a.mp4",
        "a.mp4",
    )


def test_a_byte_order_mark_is_no_part_of_a_columns_name(table, tmp_path) -> None:
    (item,) = read_labels(table("\ufefffile,label\na.mp4,real\n"), tmp_path)
    assert not item.fake


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,label\n", "no rows"),
        ("file,kind\na.mp4,real\n", ":2: no label"),
        ("file,label\na.mp4,maybe\n", ":2: label 'maybe' is neither real nor fake"),
        ("file,label\na.mp4,real\nb.mp4,fake\n", ":3: no file"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(table, tmp_path, text, complaint) -> None:
    with pytest.raises(SettingsError, match=complaint):
        read_labels(table(text), tmp_path)
