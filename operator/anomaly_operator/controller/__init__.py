"""The only place that knows kopf: observe, plan, apply."""
