"""Quality and speed of the engine, measured beside its peers; ``python -m benchmarks``."""
