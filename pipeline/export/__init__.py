"""Results written to files that other programs open; nothing here ranks or filters."""
