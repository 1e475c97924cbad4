"""A worker: collects, judges, scores, stores and reports one shard of a detector."""
