"""From pixels to vectors.  Nothing but the weights is read from or written to disk."""
