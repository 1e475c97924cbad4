"""The parts of the benchmark; each answers with tables, goals and plots."""
