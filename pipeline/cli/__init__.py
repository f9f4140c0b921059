"""The command line.

It parses options, calls one use case and prints the result; it holds no algorithm.
"""
