"""Readers of area files: they trust no file, and leave it to `validation` to judge the geometry."""
