"""The folder of a collection on disk, read and written; nothing here searches or reads pixels."""
