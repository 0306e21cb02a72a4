"""A member of the worker group: segments off the topic, exactly one answer each, back to the topics.

One thread owns the bus: it polls, judges and commits, and never waits for a segment. Looking (fetch, decode, score)
happens on a pool of threads, each waiting for a decode cell. Streams are judged in their own order; different streams
do not wait for each other.

    loop.py        poll ─▶ look ─▶ judge ─▶ commit, on one page
    streams.py     what was delivered and not yet judged; what is remembered of streams
    looking.py     one look, and what is waited for rather than refused
    answering.py   conclusions and errors to records, metrics and log lines
    turns.py       whose turn it is: live segments go before archives
    holding.py     which partitions fetch nothing for a while
    shedding.py    what is left out when live streams come faster than they can be looked at
    watchdog.py    a partition that stands still, and what is tried
"""

from scanner.worker.answering import told_shadow
from scanner.worker.loop import Worker
from scanner.worker.rules import Rules

__all__ = ["Rules", "Worker", "told_shadow"]
