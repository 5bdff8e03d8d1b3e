"""Channel Gateway: the core. Only the composition root (`app`, `cli`) sees channels and workers."""

__version__ = "0.1.0"
