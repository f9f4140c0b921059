"""Imagery of STAC catalogues: search, signing and pixels."""
