"""Builds and object searches in the background: the queue of jobs, its runner, rates and pace.

A job calls the packages that do the work.
"""
