"""`scanner provenance`: what files declare of their own origin, before anybody looks at a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from scanner.cli.common import AsJson, Exit, complain, wants_json, write_line

if TYPE_CHECKING:
    from scanner.provenance import Decision, Finding, Label45438, Reading


def provenance(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Videos, or XMP sidecars.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Read the GB 45438-2025 label of files, check it against the standard, and name the tier of Article 6.

    A table on a terminal, JSON lines in a pipe. Exit code 3 when a file cannot be read; a label with faults, or none,
    is an answer.
    """
    from scanner.provenance import decide

    printer: _Printer = _Lines() if wants_json(as_json) else _Table()
    unread = 0
    for path in files:
        try:
            reading = _read(path)
        except OSError as error:
            unread += 1
            printer.failure(path, error.strerror or str(error))
        else:
            printer.reading(path, reading, decide(reading.labels))
    printer.close()
    if unread:
        raise typer.Exit(Exit.WORLD)


def _read(path: Path) -> Reading:
    from scanner.provenance import read_label

    if path.exists() and not path.is_file():
        raise OSError("not a file")  # opening a pipe would wait for its writer
    with path.open("rb") as file:
        return read_label(file)


class _Printer(Protocol):
    def reading(self, path: Path, reading: Reading, decision: Decision) -> None: ...

    def failure(self, path: Path, reason: str) -> None: ...

    def close(self) -> None: ...


class _Lines:
    """JSON lines."""

    def reading(self, path: Path, reading: Reading, decision: Decision) -> None:
        self._write(
            {
                "type": "provenance",
                "uri": str(path),
                "container": reading.container,
                "tier": decision.tier,
                "basis": decision.basis,
                "valid": reading.valid,
                "labels": [_label_of(placed.place, placed.label) for placed in reading.placed],
                "findings": _findings_of(reading.findings),
            }
        )

    def failure(self, path: Path, reason: str) -> None:
        from scanner.wire import Failure, json_of

        write_line(json_of(Failure(str(path), "read", reason)))
        complain(f"{path}: {reason}")

    def close(self) -> None:
        pass

    def _write(self, facts: dict[str, Any]) -> None:
        import json

        write_line(json.dumps(facts).encode())  # ASCII: a label may hold half a surrogate pair


def _label_of(place: str, label: Label45438) -> dict[str, Any]:
    code = label.producer_code
    return {
        "place": place,
        "form": label.form,
        "valid": label.valid,
        "fields": label.fields(),
        "others": dict(label.others),
        "producer_code": {"kind": code.kind, "holder": code.holder, "number": code.number} if code else None,
        "text": label.text,
        "findings": _findings_of(label.findings),
    }


def _findings_of(findings: tuple[Finding, ...]) -> list[dict[str, str]]:
    return [{"code": finding.code, "says": finding.says} for finding in findings]


class _Table:
    """One row a file, and one more for each further copy of the label, for people."""

    def __init__(self) -> None:
        from rich.table import Table

        self._table = Table("", "tier", "container", box=None, pad_edge=False)
        for name in ("path", "label", "findings"):
            self._table.add_column(name, overflow="fold")

    def reading(self, path: Path, reading: Reading, decision: Decision) -> None:
        icon = "○" if not reading.placed else "[green]✔[/]" if reading.valid else "[yellow]▲[/]"
        tier = decision.tier.value.replace("_", " ")
        about_file = [finding.says for finding in reading.findings]
        labels = reading.labels or (None,)
        for place, label in enumerate(labels):
            first = place == 0
            findings = (about_file if first else []) + [finding.says for finding in (label.findings if label else ())]
            self._table.add_row(
                icon if first else "",
                tier if first else "",
                reading.container.value if first else "",
                _safe(str(path)) if first else "",
                _safe(_fields_as_text(label)) if label else "–",
                _safe("\n".join(findings)),
            )

    def failure(self, path: Path, reason: str) -> None:
        self._table.add_row("!", "[red]not read[/]", "–", _safe(str(path)), "–", _safe(reason))

    def close(self) -> None:
        from rich.console import Console

        Console().print(self._table)


def _fields_as_text(label: Label45438) -> str:
    return "\n".join(f"{name} {value}" for name, value in label.fields().items() if value) or "(unreadable)"


def _safe(text: str) -> str:
    """Text of a stranger in a cell: no control characters, no markup."""
    from rich.markup import escape

    from scanner.media.protocol import printable

    return escape("\n".join(printable(line) for line in text.split("\n")))
