"""Reads and writes a collection's folder, chip pictures included; nothing here searches."""
