"""Dataset sources, one per file. The file name is the name of the source; it has a `Config` and `load(config) -> Raw`.

A source that downloads files also declares `fetch_files(config)`. It returns their paths and downloads what the cache
lacks, so that a machine with internet can do this before others read the data.
"""
