"""Floor 0: the pure core. No I/O, clock, thread, log or environment; numpy and scipy only."""
