"""`scanner audit keygen|chain|export|verify`: verdicts that can be checked a year later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from scanner.cli.common import AsJson, Bootstrap, Exit, SettingsFile, complain, settings_from, wants_json, write_line
from scanner.core.errors import SettingsError

if TYPE_CHECKING:
    from scanner.audit import Fault, Ledger, PublicKey

app = typer.Typer(help="Chain verdicts, hand over a case, and check it offline.", no_args_is_help=True)

KeyFile = Annotated[Path, typer.Option("--key", help="The operator's private key (keygen).", show_default=False)]
PublicKeyFile = Annotated[
    Path | None, typer.Option("--key", help="The operator's public key (.pub).", show_default=False)
]
VerdictFiles = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[VERDICTS…]", help="JSON lines of scan or tail, - for stdin; without: the verdicts topic."),
]
SEAL_EVERY = 1000


@app.command()
def keygen(path: Annotated[Path, typer.Argument(help="Where to write it; its public half gets .pub.")]) -> None:
    """Make an Ed25519 key pair. Keep the private half where the scanner's machines cannot change it."""
    from scanner.audit import generate

    private, public_path = generate(path)
    typer.echo(private.public.key_id)
    typer.echo(f"private key {path}, public key {public_path}", err=True)


@app.command()
def chain(
    ledger: Annotated[Path, typer.Option(help="The ledger to begin or to go on with.", show_default=False)],
    key: KeyFile,
    verdicts: VerdictFiles = None,
    seal_every: Annotated[int, typer.Option(min=1, help="Verdicts after which a seal is set; also at the end.")] = (
        SEAL_EVERY
    ),
    bootstrap: Bootstrap = None,
    settings: SettingsFile = None,
) -> None:
    """Chain verdicts to a ledger: each link holds the digest of the one before, seals sign their Merkle root.

    Verdicts that are chained already are passed over, so it may run again and again, also on a growing topic.
    """
    from scanner.audit import PrivateKey, ledger_lines
    from scanner.cli.verdicts import verdicts_from

    private = PrivateKey.load(key)
    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    chained = seals = 0
    with _appending(ledger) as file:
        _mend(ledger, file)
        known, faults = _ledger(ledger, private.public)
        if faults:
            raise SettingsError(f"ledger {ledger} is broken and is not gone on with: {faults[0]}; begin another one")
        for line, verdict in verdicts_from(verdicts or [], chosen):
            link = known.chained(verdict, line)
            if link is None:
                continue
            file.write(ledger_lines([link]))
            chained += 1
            if chained % seal_every == 0:
                fresh = known.sealed(private, _now_ms())
                file.write(ledger_lines(fresh))
                seals += len(fresh)
        fresh = known.sealed(private, _now_ms())
        file.write(ledger_lines(fresh))
    typer.echo(f"{chained} verdicts chained, {seals + len(fresh)} seals set", err=True)


@app.command()
def export(
    target: Annotated[Path, typer.Argument(metavar="CASE", help="A new folder, or a .zip.")],
    key: KeyFile,
    verdicts: VerdictFiles = None,
    stream: Annotated[str | None, typer.Option(help="Whose case; needed when there are several.")] = None,
    media: Annotated[
        Path | None, typer.Option(help="The file that was scanned; without it, segments come from their topic.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Take the chain from here; without it the case has its own.")
    ] = None,
    reviews: Annotated[
        Path | None,
        typer.Option(help="JSON lines of reviews; without: the topic, where the verdicts come from theirs."),
    ] = None,
    clips: Annotated[int, typer.Option(min=0, help="The most suspicious segments whose video goes along.")] = 8,
    pictures: Annotated[
        bool, typer.Option(help="Let the model look at those again: faces, heat strips, the same scores?")
    ] = True,
    bootstrap: Bootstrap = None,
    settings: SettingsFile = None,
) -> None:
    """Put one stream's verdicts, their chain, video, pictures, model card and policy into a signed case.

    It begins with index.html, and `scanner audit verify` checks it anywhere, offline.
    """
    from scanner.audit import PrivateKey
    from scanner.cli.casing import Wish
    from scanner.cli.casing import export as write
    from scanner.cli.verdicts import of_one_stream, reviews_on, verdicts_from

    if target.exists():
        raise SettingsError(f"{target} is there already; a case is never overwritten")
    private = PrivateKey.load(key)
    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    lines = of_one_stream(verdicts_from(verdicts or [], chosen), stream)
    known = None
    if ledger is not None:
        known, faults = _ledger(ledger, private.public)
        if faults:
            raise SettingsError(f"ledger {ledger} is broken: {faults[0]}")
    said = () if reviews is None and verdicts else reviews_on(lines, reviews, chosen)
    count = write(Wish(target, lines, known, media, clips, pictures, said), private, chosen)
    typer.echo(f"{target}: {count} files, {len(lines)} verdicts of {lines[0][1].stream_id}", err=True)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A case (folder or zip), or a ledger.")],
    key: PublicKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Check a case or a ledger offline, and name everything that is not as it was signed.

    Exit 0 when everything holds, 1 when something was changed, 2 when there is nothing to check.
    """
    from scanner.audit import PublicKey, verify_case

    public = PublicKey.parse(_read(key, "key"), str(key)) if key else None
    if path.suffix == ".jsonl":
        if public is None:
            raise SettingsError("a ledger is checked with --key, the operator's public key")
        known, faults = _ledger(path, public)
        said = f"{sum(map(len, known.links.values()))} verdicts of {len(known.links)} streams"
    else:
        case = verify_case(path, public)
        faults = case.faults
        said = f"{case.files} files, {case.verdicts} verdicts of {case.facts.get('stream_id')}, key {case.key_id}"
        if public is None:
            complain(f"the key {case.key_id} is the one in the case: compare it with the operator's, or give --key")
    _tell(faults, as_json)
    if faults:
        complain(f"{path}: {len(faults)} thing{'s' * (len(faults) > 1)} changed ({said})")
        raise typer.Exit(Exit.FOUND)
    typer.echo(f"{path}: everything is as it was signed ({said})", err=True)


def _tell(faults: tuple[Fault, ...], as_json: bool) -> None:
    import json

    if wants_json(as_json):
        for fault in faults:
            write_line(json.dumps({"type": "fault", "place": fault.place, "says": fault.says}).encode())
        return
    from rich.console import Console
    from rich.markup import escape

    from scanner.cli.common import shown

    console = Console(highlight=False)
    for fault in faults:
        console.print(f"[red]✖[/] {escape(shown(str(fault)))}", soft_wrap=True)


def _ledger(path: Path, key: PublicKey) -> tuple[Ledger, tuple[Fault, ...]]:
    from scanner.audit import check_ledger, parse_ledger

    parsed = parse_ledger(_read(path, "ledger"), path.name)
    return parsed.ledger, check_ledger(parsed, path.name, key)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{what} {path}: {error.strerror or error}") from error


@contextmanager
def _appending(path: Path) -> Iterator[BinaryIO]:
    """One writer at a time: two would each go on from the same link."""
    import fcntl

    try:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
    except BlockingIOError as error:
        raise SettingsError(f"ledger {path} is being written by another process") from error
    except OSError as error:
        raise SettingsError(f"ledger {path}: {error.strerror or error}") from error


def _mend(path: Path, file: BinaryIO) -> None:
    """Takes off the half line that a crash leaves behind; a line that was written whole is never touched."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        complain(f"ledger {path}: took off an unfinished last line of {len(content) - whole} bytes")
        file.truncate(whole)


def _now_ms() -> int:
    return int(time.time() * 1000)
