"""The ImageNet weights: finding, fetching, converting and verifying them."""
