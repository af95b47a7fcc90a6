"""When and where: the command line, the configuration and the graph."""

__version__ = "0.1.0"
