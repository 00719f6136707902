"""Text encoders, one file each, known by the file's name: `version`, `Config`, `encode(texts, config, progress)`.

`encode` returns one float32 vector per text [n, w], the same ones for the same texts. An encoder whose vector of a
text depends on that text alone says `identity(config)`, what makes its vectors what they are (such as a checksum of
its weights): they are then kept in a cache. One that is no function of texts says `of_items(data)` instead.
"""
