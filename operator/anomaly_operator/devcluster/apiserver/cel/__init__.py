"""CEL for x-kubernetes-validations."""
