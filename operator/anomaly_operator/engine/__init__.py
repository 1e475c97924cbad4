"""The engine: online, columnar, pure."""
