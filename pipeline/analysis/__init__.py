"""How good a collection and its index are: recall, duplicates, labelled evaluation, the visual map.

Nothing here changes a collection.
"""
