"""The REST interface and map tiles over HTTP.

Routes translate a request to one use case and hold no algorithm.
"""
