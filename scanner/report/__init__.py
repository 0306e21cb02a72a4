"""A page for people: one self-contained HTML file with faces, scores over time and suspicious stretches.

verdicts, summaries ──▶ PathReport ─┐
clips' pixels and maps ──▶ Gallery ─┴─ view ──▶ templates ──▶ report.html, which asks nothing of any network
"""

from scanner.report.facts import facts_of
from scanner.report.gallery import Gallery
from scanner.report.model import Look, ModelFacts, PathReport, Thresholds
from scanner.report.page import write_report

__all__ = ["Gallery", "Look", "ModelFacts", "PathReport", "Thresholds", "facts_of", "write_report"]
