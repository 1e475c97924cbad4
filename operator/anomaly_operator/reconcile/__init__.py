"""Pure decisions: observed state in, plan out."""
