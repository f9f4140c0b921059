"""Measurements of a collection: recall, duplicates, labelled evaluation, the visual map.

Nothing here changes a collection.
"""
