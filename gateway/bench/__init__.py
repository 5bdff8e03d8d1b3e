"""The benchmarks of `gateway bench`, and the private servers they and the tests run on."""
