"""Censuses: how many things an area holds, estimated from a sample of judged units."""
