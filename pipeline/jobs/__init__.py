"""What runs in the background: the queue, its runner, pace and memory.

A job calls the packages that do the work.
"""
