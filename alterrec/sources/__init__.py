"""Dataset sources, one per file. The file name is the name of the source; it has a `Config` and `load(config) -> Raw`."""
