"""`scanner doctor`: what works on this machine, and what to do about what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from scanner.cli.common import AsJson, Exit, SettingsFile, settings_from, wants_json, write_line

if TYPE_CHECKING:
    from scanner.settings import Settings

_BROKER_S = 5.0  # somebody waits in front of a screen


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    works: bool
    says: str
    needed: bool = True
    """whether scanning works at all without it"""


def doctor(settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Check versions, device, model, decode cells and broker; exit 3 when scanning cannot work."""
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.markup import escape

    chosen = settings_from(settings)
    findings = [_checked(part, needed, check, chosen) for part, needed, check in _CHECKS]
    for finding in findings:
        if wants_json(as_json):
            write_line(json.dumps(asdict(finding), ensure_ascii=False).encode())
        else:
            mark = "[green]✔[/]" if finding.works else "[red]✖[/]" if finding.needed else "[yellow]–[/]"
            Console().print(f"{mark} {finding.part:9} {escape(finding.says)}")
    if not all(finding.works for finding in findings if finding.needed):
        raise typer.Exit(Exit.WORLD)


def _checked(part: str, needed: bool, check: Callable[[Settings], str], settings: Settings) -> Finding:
    from scanner.core.errors import ScannerError

    try:
        return Finding(part, True, check(settings), needed)
    except ScannerError as error:
        return Finding(part, False, str(error), needed)
    except (ImportError, OSError) as error:
        return Finding(part, False, f"{error}; a system library may be missing (see the README's set-up)", needed)


def _versions(_: Settings) -> str:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = [f"Python {platform.python_version()}"]
    for name in ("scanner", "av", "mediapipe", "onnxruntime-gpu", "onnxruntime", "kafka-python", "numpy"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _device(settings: Settings) -> str:
    from scanner.inference.onnx import resolve_device

    device = resolve_device(settings.scan.device)
    return f"{device} ({device.reason})"


def _model(settings: Settings) -> str:
    from scanner.inference.card import find_model
    from scanner.inference.golden import verify_golden
    from scanner.inference.onnx import OnnxModel, resolve_device

    folder = find_model(settings.scan.model)
    device = resolve_device(settings.scan.device)
    model = OnnxModel(folder, device)
    worst = verify_golden(model, folder)
    return f"{model.ref.name} {model.ref.sha256[:12]}, golden scores within {worst:.1e}"


def _cells(settings: Settings) -> str:
    from scanner.assembly.scan import cell_plan
    from scanner.inference.card import find_model, read_card
    from scanner.media.pool import CellPool
    from scanner.media.sandbox import Layer

    with CellPool(1, cell_plan(settings, read_card(find_model(settings.scan.model)).spec)) as pool:
        layers = pool.ready()
    lacking = ", ".join(sorted(set(Layer) - set(layers)))
    confined = f"a cell starts, confined by {', '.join(layers) or 'nothing'}"
    return f"{confined}; this machine does not give it {lacking}" if lacking else confined


def _broker(settings: Settings) -> str:
    from scanner.assembly.bus import kafka_bus, topics_of

    bus = kafka_bus(settings, deadline_s=_BROKER_S)
    lag = {place: n for topic in topics_of(settings).asked for place, n in bus.lag(topic, settings.kafka.group).items()}
    where = ", ".join(settings.kafka.bootstrap_servers)
    return f"{where}, {settings.topics.segments}: {len(lag)} partitions, {sum(lag.values())} segments waiting"


_CHECKS: tuple[tuple[str, bool, Callable[[Settings], str]], ...] = (
    ("versions", True, _versions),
    ("device", True, _device),
    ("model", True, _model),
    ("cells", True, _cells),
    ("broker", False, _broker),
)
