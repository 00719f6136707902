"""Dataset sources, one file each, known by the file's name: a `Config` and `load(config) -> Raw`."""
