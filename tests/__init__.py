"""The tests of puller; their shape follows the package, and the world they live in is tests/world."""
