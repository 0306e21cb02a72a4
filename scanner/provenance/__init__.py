"""What a file declares of its own origin: the GB 45438-2025 implicit label, read from any container that has a place
for it, without a decoder.

    with open("video.mp4", "rb") as file:
        reading = read_label(file)
    decide(reading.labels)
"""

from scanner.provenance.aigc import Form, Label45438, ProducerCode, parse_label
from scanner.provenance.article6 import Basis, Decision, Propagator, decide, label_text, propagation
from scanner.provenance.findings import Code, Finding
from scanner.provenance.reading import Container, Placed, Reading, read_label

__all__ = [
    "Basis",
    "Code",
    "Container",
    "Decision",
    "Finding",
    "Form",
    "Label45438",
    "Placed",
    "ProducerCode",
    "Propagator",
    "Reading",
    "decide",
    "label_text",
    "parse_label",
    "propagation",
    "read_label",
]
