"""Everything that makes a model: forgeries, data, training, measuring, calibration, export.

sources ──survey──▶ boxes, landmarks ──┬─bank──▶ frames ─┐
                                       └─pack──▶ clips ──┴─train─▶ weights ─export─▶ model folder ─evaluate─▶ report

    scanner train survey CORPUS CACHE                    # faces and landmarks of every source, once
    scanner train zoo    CORPUS CACHE ZOO                # small generators of our own
    scanner train bank   CORPUS CACHE BANK               # frames to forge from afresh
    scanner train pack   CORPUS CACHE PACK --zoo ZOO     # clips, forged and through real encoders
    scanner train pack   CORPUS CACHE HELD --role calibrate --zoo ZOO
    scanner train run     FRAMES PACK --bank BANK --zoo ZOO --stage frame
    scanner train run     CLIPS  PACK --start FRAMES/last.pt --stage clip --length 16
    scanner train heldout CORPUS STORE                   # held-out people and generators, cut
    scanner export CLIPS/last.pt onnx_models/NAME --held-out STORE --forged HELD --data DATA.toml
    scanner evaluate ROOT --labels LABELS.csv --model onnx_models/NAME --controls

On a machine with a GPU, whose minutes are worth hours here (see scanner.training.gpu):

    scanner train table  CORPUS CACHE TABLE              # boxes and landmarks, small enough to travel
    scanner train gpu    CORPUS TABLE RUN --seconds 420  # generators, forgeries, encoders and learning at once

`scanner train calibrate MODEL --held-out STORE` fits thresholds and buckets of quality to one's own real people.
`scanner train frontier CHECKPOINT VIDEOS OUT --labels CSV` measures accuracy over cost at several sizes and lengths.
`scanner train probe CORPUS TABLE VIDEOS OUT --labels CSV` compares backbones before any is trained.

`scanner train deepfakebench LIST.json FRAMES CORPUS` makes a corpus of FaceForensics++ and others in that layout.

Each is `python -m scanner.training.STEP`, too. CORPUS is a folder as `data.read_corpus` describes it. LOG.md keeps
what was tried.
"""
