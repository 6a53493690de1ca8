"""Image lists: what each kind of source means, and what it refuses."""
