"""Measurements of kernels and models: speed, memory, and what they are compared with.  Not installed."""
