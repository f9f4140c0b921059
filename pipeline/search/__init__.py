"""From a question to ranked places in a collection; no HTTP, and no files for other programs."""
