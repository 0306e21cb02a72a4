"""The door of a decode cell whose pictures are decoded on a GPU; see cell_main."""

from __future__ import annotations

import sys
from importlib import import_module
from socket import socket

from scanner.media.sandbox import confine_with_gpu, die_with, seclude_with_gpu


def main(socket_number: int, lifeline: int, arena: int) -> None:
    die_with(lifeline)
    layers = seclude_with_gpu()
    import_module("scanner.media.serving").serve(socket(fileno=socket_number), arena, layers, confine_with_gpu)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
