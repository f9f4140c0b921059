"""From an area and its scenes to a collection, in resumable stages.

Nothing here searches or knows of jobs.
"""
