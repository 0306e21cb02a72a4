"""The GB 45438-2025 label into a file, byte for byte beside what is there: nothing is re-encoded, nothing is taken out.

file ──container's writer──▶ splices (place, length, new bytes) ──copy──▶ file with the label
"""

from scanner.provenance.writing.copying import Labelled, label_copy
from scanner.provenance.writing.splice import UnwritableError

__all__ = ["Labelled", "UnwritableError", "label_copy"]
