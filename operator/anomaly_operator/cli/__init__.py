"""Command line: one command a file; each parses, then calls one function."""
