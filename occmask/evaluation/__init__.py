"""Evaluation: embeddings, scores and labels -> figures with intervals. Takes arrays, never models or pictures."""
