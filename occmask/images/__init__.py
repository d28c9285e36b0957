"""Images: from a picture, a file or its bytes, to the aligned pixels that a model takes."""
