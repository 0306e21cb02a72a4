"""Archives: many files through one scan, resumable after any death; and two results compared.

items ──digest──▶ cache? ──▶ scan ──▶ results.jsonl (fsync) ──▶ journal.jsonl (fsync): this one is done
        several at once                 in the order of the items
"""
