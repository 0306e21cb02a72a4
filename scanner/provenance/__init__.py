"""What a file declares of its own origin: the GB 45438-2025 implicit label, read from any container that has a place
for it, without a decoder.

    with open("video.mp4", "rb") as file:
        reading = read_label(file)
    decide(reading.labels)
"""

from scanner.provenance.aigc import Form, Label45438, ProducerCode, parse_label
from scanner.provenance.article6 import Basis, Decision, Propagator, decide, label_text, propagation
from scanner.provenance.findings import Code, Finding
from scanner.provenance.manifest import Action, Manifest, SourceKind, State, parse_manifest
from scanner.provenance.reading import Container, Placed, Reading, read_label
from scanner.provenance.weighing import Article50, Duty, article50, conflict, weighed

__all__ = [
    "Action",
    "Article50",
    "Basis",
    "Code",
    "Container",
    "Decision",
    "Duty",
    "Finding",
    "Form",
    "Label45438",
    "Manifest",
    "Placed",
    "ProducerCode",
    "Propagator",
    "Reading",
    "SourceKind",
    "State",
    "article50",
    "conflict",
    "decide",
    "label_text",
    "parse_label",
    "parse_manifest",
    "propagation",
    "read_label",
    "weighed",
]
