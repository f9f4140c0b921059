"""From vectors to rows: segments, exact and ScaNN search.  Kinds of query belong to `search`."""
