"""From pixels to vectors; nothing is read from or written to disk but the weights."""
