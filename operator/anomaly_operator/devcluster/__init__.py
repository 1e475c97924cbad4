"""A stand-in cluster in one process, for the demo and the tests; never part of an installation."""
