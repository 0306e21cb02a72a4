"""Everything that makes a model: forgeries, data, training, measuring, calibration, export.

sources ──survey──▶ boxes, landmarks ──┬─bank──▶ frames ─┐
                                       └─pack──▶ clips ──┴─train─▶ weights ─export─▶ model folder ─evaluate─▶ report

    python -m scanner.training.survey CORPUS CACHE                    # faces and landmarks of every source, once
    python -m scanner.training.zoo    CORPUS CACHE ZOO                # small generators of our own
    python -m scanner.training.bank   CORPUS CACHE BANK               # frames to forge from afresh
    python -m scanner.training.pack   CORPUS CACHE PACK --zoo ZOO     # clips, forged and through real encoders
    python -m scanner.training.pack   CORPUS CACHE HELD --role calibrate --zoo ZOO
    python -m scanner.training.train  FRAMES PACK --bank BANK --zoo ZOO --stage frame
    python -m scanner.training.train  CLIPS  PACK --start FRAMES/last.pt --stage clip --length 16
    python -m scanner.training.heldout CORPUS STORE                   # held-out people and generators, cut
    python -m scanner.training.export CLIPS/last.pt onnx_models/NAME --held-out STORE --forged HELD
    scanner evaluate ROOT --labels LABELS.csv --model onnx_models/NAME --controls

CORPUS is a folder as `data.read_corpus` describes it. LOG.md keeps what was tried.
"""
