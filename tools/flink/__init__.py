"""A Flink session cluster on this machine: its artifacts, its configuration, its processes and its Python workers."""
