"""Object search: from one thing to all others like it, by the object cells of the scenes."""
