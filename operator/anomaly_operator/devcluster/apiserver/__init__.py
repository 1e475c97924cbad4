"""The API server of the stand-in cluster: Kubernetes' HTTP API in one process, in memory."""
