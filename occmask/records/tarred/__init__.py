"""Tar archives and shards of them, `person/picture` or WebDataset's samples."""
