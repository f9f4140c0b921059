"""The ImageNet weights: found, fetched, converted and verified; never random ones."""
