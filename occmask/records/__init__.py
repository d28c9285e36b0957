"""Records: encoded pictures of people in the containers that people keep them in, read and written unchanged."""
