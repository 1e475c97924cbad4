"""Version v1alpha1 of group anomaly-operator.dev."""
