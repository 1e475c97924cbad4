"""``anomaly demo``: the whole of it on this machine, with pods that really misbehave."""
