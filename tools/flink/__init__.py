"""A Flink session cluster on this machine: what it runs from, what runs, and the Python worker beside it."""
