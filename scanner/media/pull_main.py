"""The door of a live source's process: `python -m scanner.media.pull_main SOCKET LIFELINE`, started by `Pull`.

It keeps the network, which is where its bytes come from; in everything else it is confined like the cutter.
"""

from __future__ import annotations

import sys
from importlib import import_module
from socket import socket

from scanner.media.sandbox import die_with, seclude_networked


def main(socket_number: int, lifeline: int) -> None:
    die_with(lifeline)
    layers = seclude_networked()
    import_module("scanner.media.pull_work").serve(socket(fileno=socket_number), layers)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
