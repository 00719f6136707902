"""Text encoders, one file each, known by the file's name: a `version` and `encode(texts, progress)`.

`encode` returns one float32 vector per text [n, w], the same ones for the same texts.
"""
