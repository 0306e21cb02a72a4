"""Training on one GPU: forging, ageing and learning at the speed of the card, from compressed sources.

    table.pack ─▶ gallery ─▶ forge (on the card) ─▶ wear (on the card) ─▶ codecs (every core) ─▶ crop ─▶ TempoNet
                     └─▶ generators: painters, renderers, denoisers and a swapper, trained first and on the same card

`run.py` shows the flow. The families are those of `scanner.training.forge`, written for batches of clips on the card.
"""
