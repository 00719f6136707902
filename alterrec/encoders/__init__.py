"""Text encoders, one file each, known by the file's name. A file declares `version`, `Config` and `encode`.

`encode(texts, config, progress)` returns one float32 vector per text, [n, w]. The same texts give the same vectors.

`identity(config)` is optional: it declares that the vector of a text depends on that text alone, so that vectors can be
cached. It returns a string that names the weights, such as their checksum, because other weights need another cache.

`neural = True` declares that the encoder is a network, which is faster on a GPU.

`fetch_files(config)` is optional: it returns the paths of the weights and downloads what the cache lacks, so that a
machine with internet can do this before others encode.

An encoder that uses no texts declares `item_vectors(data)` in place of `encode`.
"""
