"""A small asynchronous client of the Kubernetes API: access, calls, and mirrors kept by watches."""
