"""Where imagery comes from: every source finds scenes over an area and fetches their rasters.

None knows of collections.
"""
