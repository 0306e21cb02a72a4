"""Topics, partitions and groups in this process: what `scanner demo` and the tests run on."""

from scanner.bus.memory.bus import MemoryBus

__all__ = ["MemoryBus"]
