"""Control loops a cluster's controller manager and scheduler would run, level-triggered."""
