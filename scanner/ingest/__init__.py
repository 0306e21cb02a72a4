"""Live sources to the segments topic.

source ──pull, cut──▶ spool on disk ──number, publish, flush──▶ topic
one thread and one        bounded; what overflows      one thread; numbers go on from the topic,
process a source          is counted as lost           so that no restart repeats or hides one
"""

from scanner.ingest.addresses import address_of
from scanner.ingest.roster import Roster
from scanner.ingest.sources import SourceSpec, read_sources, source_of
from scanner.ingest.supervisor import Ingest, Plan

__all__ = ["Ingest", "Plan", "Roster", "SourceSpec", "address_of", "read_sources", "source_of"]
