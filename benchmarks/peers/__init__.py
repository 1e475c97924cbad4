"""Other detectors, each behind the same protocol, run on the same data in the same run."""
