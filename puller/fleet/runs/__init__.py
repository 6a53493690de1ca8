"""Runs by a broker: their store, which host gets what and when, and what is known of them."""
