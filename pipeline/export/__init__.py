"""Results written to files for other programs; nothing here ranks or filters."""
