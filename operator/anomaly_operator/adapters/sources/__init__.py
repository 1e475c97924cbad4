"""Where samples come from: Prometheus, kubelets, tables."""
