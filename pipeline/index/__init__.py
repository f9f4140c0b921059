"""From vectors to rows: segments, exact and ScaNN search; nothing here knows the kinds of query."""
