"""The verbs, as a user meets them."""
