"""The door of the process that reads a C2PA manifest: `python -m scanner.credentials.cell_main SOCKET LIFELINE FILE`.

Nothing but the standard library is imported before the process has left the network.
"""

from __future__ import annotations

import sys
from importlib import import_module
from socket import socket

from scanner.media.sandbox import die_with, seclude


def main(socket_number: int, lifeline: int, file: int) -> None:
    die_with(lifeline)
    layers = seclude()
    import_module("scanner.credentials.cell_work").serve(socket(fileno=socket_number), file, layers)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
