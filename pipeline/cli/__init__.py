"""The command line.

It parses options, calls one use case and prints the answer, and holds no algorithm.
"""
