"""What runs in the demo's pods: small programs of the standard library alone, so that they start
fast and their memory is their own doing.
"""
