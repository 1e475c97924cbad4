"""One file per outside thing: sources, stores, Kubernetes."""
