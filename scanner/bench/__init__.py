"""How fast: the same figures by one command on any machine. `stages` beside bare libraries, `live` streams held."""
