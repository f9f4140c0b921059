"""Shapes on the Earth: areas, footprints, coordinates; no pixels and no network."""
