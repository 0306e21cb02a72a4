"""Settings to wired objects. The only place that builds adapters: `bus` for topics, `scan` for what looks."""
