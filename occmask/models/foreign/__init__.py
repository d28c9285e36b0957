"""Weights files of other projects: read, told apart, renamed, and compared with the networks they come from."""
