"""LMDBs of encoded pictures, read without liblmdb."""
