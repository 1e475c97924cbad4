"""Names of the API group, its kinds, and what is written on objects under its prefix."""

from __future__ import annotations

GROUP = "anomaly-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "anomaly"
