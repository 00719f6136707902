"""Readers of files: downloads, archives, tables, lists of ids and pickles."""
