"""From a query to ranked chips, sites and changes of a collection.

No HTTP, and no files for other programs.
"""
