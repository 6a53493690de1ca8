"""Removes images that puller pulled and that no list names any more."""
