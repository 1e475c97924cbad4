"""Anomaly detection for Kubernetes: an operator, its workers and their engine."""
