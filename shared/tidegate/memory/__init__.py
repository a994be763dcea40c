"""The ports in dictionaries: for tests, benchmarks, and a gateway that need not remember."""
