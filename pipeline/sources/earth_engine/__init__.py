"""Imagery of Google Earth Engine: catalogue, plan, direct download and export to Drive."""
