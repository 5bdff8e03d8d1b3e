"""Channel Gateway: the core. Only the composition root (`app`, `cli`) sees channels and workers."""
