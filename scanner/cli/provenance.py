"""`scanner provenance FILE…`: what files declare of their own origin; `scanner provenance label` adds to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer
from typer.core import TyperGroup

from scanner.cli.common import AsJson, Exit, SettingsFile, complain, settings_from, shown, wants_json, write_line
from scanner.core.errors import SettingsError

if TYPE_CHECKING:
    from scanner.provenance import Decision, Finding, Label45438, Manifest, Reading
    from scanner.settings import ProvenanceSettings


class _ReadsByDefault(TyperGroup):
    """`scanner provenance FILE…` reads; a file that is called like a verb is named ./label."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in {"-h", "--help"})
        return super().parse_args(ctx, args if named or not args else ["read", *args])


app = typer.Typer(cls=_ReadsByDefault, no_args_is_help=True, help="Declared origin: FILE… reads it, label adds to it.")


@app.command("read")
def provenance(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Videos, or XMP sidecars.", show_default=False)],
    trust: Annotated[
        Path | None, typer.Option(help="Authorities that vouch for C2PA signers, PEM.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Read the GB 45438-2025 label and the C2PA manifest of files, check them, and say what the law makes of them.

    A table on a terminal, JSON lines in a pipe. Exit code 3 when a file cannot be read; a label with faults, or none,
    is an answer. C2PA needs the extra `c2pa`; nothing is fetched from a network.
    """
    from scanner.credentials import available
    from scanner.provenance import decide

    origin = settings_from(settings, provenance_c2pa_trust=trust).provenance
    if not available():
        complain("C2PA manifests are not read: install scanner[c2pa]")
    printer: _Printer = _Lines() if wants_json(as_json) else _Table()
    unread = 0
    for path in files:
        try:
            reading, manifest = _read(path), _manifest(path, origin)
        except OSError as error:
            unread += 1
            printer.failure(path, error.strerror or str(error))
        else:
            generated = manifest is not None and manifest.generated
            printer.reading(path, reading, manifest, decide(reading.labels, generated=generated))
    printer.close()
    if unread:
        raise typer.Exit(Exit.WORLD)


@app.command()
def label(
    source: Annotated[Path, typer.Argument(metavar="IN", help="MP4, MOV, Matroska, WebM, FLV or AVI.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The copy with the label; may be IN.")],
    propagator: Annotated[str, typer.Option(help="ContentPropagator: who spreads it, by name or code.")],
    item_id: Annotated[str, typer.Option(help="PropagateID: the platform's number for the item.")],
    found: Annotated[bool, typer.Option("--found", help="A detector found traces: Label 3 where there is none.")] = (
        False
    ),
    declared: Annotated[bool, typer.Option("--declared", help="Its uploader says so: Label 2 where there is none.")] = (
        False
    ),
) -> None:
    """Write the GB 45438-2025 label with who spreads the item into a copy, without re-encoding or taking anything out.

    What a label already says stays as it is; only empty propagator's fields are filled in. Prints the record that was
    written, as JSON. Exit code 3 when the file cannot take a label.
    """
    import json
    import shutil

    from scanner.provenance import Propagator, decide, propagation
    from scanner.provenance.writing import label_copy

    try:
        reading = _read(source)
        who = Propagator(propagator, item_id)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    except OSError as error:
        raise SettingsError(f"{source}: {error.strerror or error}") from error
    known = reading.labels[0] if reading.labels else None
    decision = decide(reading.labels, declared=declared, traces=found)
    fields = propagation(decision, known, who)
    if fields is None and known is None:
        raise SettingsError(f"{source} has no label to pass on: say --found or --declared to write one")
    said: dict[str, Any] = {"type": "label", "uri": str(source), "out": str(target), "written": fields is not None}
    if fields is None:
        complain(f"{source}: its label names who spreads it; copied as it is")
        if not (target.exists() and source.samefile(target)):
            shutil.copyfile(source, target)
    else:
        try:
            written = label_copy(source, target, fields)
        except OSError as error:
            raise SettingsError(f"{target}: {error.strerror or error}") from error
        if written.c2pa_broken:
            complain(f"{target}: the C2PA manifest in it no longer matches the file; sign it anew")
        said |= {"tier": decision.tier, "basis": decision.basis, "fields": fields, "c2pa_broken": written.c2pa_broken}
    write_line(json.dumps(said).encode())


def _read(path: Path) -> Reading:
    from scanner.provenance import read_label

    if path.exists() and not path.is_file():
        raise OSError("not a file")  # opening a pipe would wait for its writer
    with path.open("rb") as file:
        return read_label(file)


def _manifest(path: Path, origin: ProvenanceSettings) -> Manifest | None:
    from scanner.credentials import read_manifest

    with path.open("rb") as file:
        return read_manifest(file, origin.c2pa_trust, wait_s=origin.c2pa_wait_s)


class _Printer(Protocol):
    def reading(self, path: Path, reading: Reading, manifest: Manifest | None, decision: Decision) -> None: ...

    def failure(self, path: Path, reason: str) -> None: ...

    def close(self) -> None: ...


class _Lines:
    """JSON lines."""

    def reading(self, path: Path, reading: Reading, manifest: Manifest | None, decision: Decision) -> None:
        from dataclasses import asdict

        from scanner.provenance import article50

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
                "c2pa": asdict(manifest) if manifest else None,
                "article50": asdict(article50(reading.labels, manifest)),
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
        for name in ("path", "label", "C2PA", "findings"):
            self._table.add_column(name, overflow="fold")

    def reading(self, path: Path, reading: Reading, manifest: Manifest | None, decision: Decision) -> None:
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
                _safe(_manifest_as_text(manifest)) if manifest and first else "–" if first else "",
                _safe("\n".join(findings)),
            )

    def failure(self, path: Path, reason: str) -> None:
        self._table.add_row("!", "[red]not read[/]", "–", _safe(str(path)), "–", "–", _safe(reason))

    def close(self) -> None:
        from rich.console import Console

        Console().print(self._table)


def _fields_as_text(label: Label45438) -> str:
    return "\n".join(f"{name} {value}" for name, value in label.fields().items() if value) or "(unreadable)"


def _manifest_as_text(manifest: Manifest) -> str:
    from scanner.provenance import State

    sources = dict.fromkeys(action.source_type for action in manifest.actions if action.source_type)
    if manifest.state is State.UNREADABLE:
        return "\n".join((manifest.state, *manifest.faults))
    lines = [f"{manifest.state}, signed by {manifest.signer or 'nobody named'}", *sources, *manifest.faults]
    return "\n".join(lines)


def _safe(text: str) -> str:
    """Text of a stranger in a cell: no control characters, no markup."""
    from rich.markup import escape

    return escape("\n".join(shown(line) for line in text.split("\n")))
