"""Readers of area files.  No file is trusted; `geo.validation` checks the geometries."""
