"""The door of a decode cell: `python -m scanner.media.cell_main SOCKET LIFELINE ARENA`, started by CellPool.

Nothing but the standard library is imported before the process has left the network.
"""

from __future__ import annotations

import sys
from importlib import import_module
from socket import socket

from scanner.media.sandbox import die_with, seclude


def main(socket_number: int, lifeline: int, arena: int) -> None:
    die_with(lifeline)
    layers = seclude()
    import_module("scanner.media.serving").serve(socket(fileno=socket_number), arena, layers)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
