"""The page that people keep open: a wall of streams, their time lines, a review queue, and the scanner's health.

topics ──▶ feed ──fold──▶ View ──▶ pages, events        (streams.py, cases.py, tallies.py: what View is made of, pure)
"""
