"""CEL for x-kubernetes-validations: Google's implementation, with Kubernetes' libraries added.

``declared_types`` gives the checker the schema's types, so a wrong field is found when the CRD is
applied; ``values`` gives rules what the server stores; ``rules`` walks an object and evaluates.
"""
