"""What runs in the demo's pods: programs of the standard library alone, which start fast."""
