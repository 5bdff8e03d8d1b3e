"""The use cases: one module each, units of work over a `Tx`, and what waits around them."""
