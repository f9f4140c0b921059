"""Dask connections and shared storage; nothing here knows what is stored or computed."""
