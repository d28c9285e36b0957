"""Records: encoded pictures of people in the containers that people keep them in, read and written unchanged.

`record` says what a record, a reader and a writer are; `formats` which formats there are, and which one a file is in.
Each container has its room (`recordio`, `lmdbs`, `tarred`, `pickled`) or its module (`folder`, `list_file`), and
`conversion` leads from one to another; the other modules are what they share.
"""
