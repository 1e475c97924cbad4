"""What a detector turns into: one file a part, each a function from values to documents."""
