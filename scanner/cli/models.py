"""`scanner models list|verify|bench`: which models there are, whether they keep their card's promise, how fast."""

from __future__ import annotations

from typing import Annotated

import typer

from scanner.cli.common import AsJson, DeviceName, Exit, complain, wants_json, write_line

app = typer.Typer(help="Models: list, verify against their cards, time.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Model name or folder.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models that came with the package."""
    import json

    from rich.console import Console
    from rich.table import Table

    from scanner.inference.card import models_root, read_card

    cards = [read_card(path.parent) for path in sorted(models_root().glob("*/card.toml"))]
    if wants_json(as_json):
        for card in cards:
            write_line(json.dumps(card.model_dump(mode="json"), ensure_ascii=False).encode())
        return
    table = Table("name", "version", "clip", "licence", "sha256", "description")
    for card in cards:
        shape = f"{card.geometry.length} × {card.geometry.size} px"
        table.add_row(card.name, card.version, shape, card.licence, card.sha256[:12], card.description)
    Console().print(table)


@app.command()
def verify(name: Name = "tempo-s", device: DeviceName = "cpu") -> None:
    """Check digest, shapes and golden scores of a model; exit code 3 when it breaks its promise."""
    from scanner.core.errors import ModelMismatchError
    from scanner.inference.card import find_model
    from scanner.inference.golden import verify_golden
    from scanner.inference.onnx import OnnxModel, resolve_device

    folder = find_model(name)
    model = OnnxModel(folder, resolve_device(device or "cpu"))
    try:
        worst = verify_golden(model, folder)
    except ModelMismatchError as error:
        complain(str(error))
        raise typer.Exit(Exit.WORLD) from error
    typer.echo(f"{model.ref.name} {model.ref.sha256[:12]} keeps its card's promise (largest difference {worst:.1e})")


@app.command()
def bench(
    name: Name = "tempo-s",
    device: DeviceName = "auto",
    batches: Annotated[str, typer.Option(help="Batch sizes to time, divided by commas.")] = "1,4",
    rounds: Annotated[int, typer.Option(min=3, help="Runs a batch size; the median is shown.")] = 9,
) -> None:
    """Time a model on one thread: milliseconds a clip and a face-frame, medians."""
    import json
    import statistics
    import time

    import numpy as np

    from scanner.inference.card import find_model
    from scanner.inference.onnx import OnnxModel, resolve_device

    sizes = [int(text) for text in batches.split(",")]
    model = OnnxModel(find_model(name), resolve_device(device or "auto"), most=max(sizes))
    spec = model.spec
    for size in sizes:
        noise = np.random.default_rng(0).integers(0, 256, (size, spec.length, spec.size, spec.size, 3), np.uint8)
        spent = []
        for _ in range(rounds):
            began = time.perf_counter()
            model.score(noise)
            spent.append(time.perf_counter() - began)
        clip_ms = statistics.median(spent) * 1000 / size
        facts = {"batch": size, "ms_per_clip": round(clip_ms, 2), "ms_per_face_frame": round(clip_ms / spec.length, 3)}
        write_line(json.dumps({"model": model.ref.name, "device": str(model.device), **facts}).encode())
