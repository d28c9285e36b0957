"""The page that compares methods, and the same figures for a terminal and for Markdown."""
