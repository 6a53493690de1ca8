"""The registry protocol: what a registry knows of an image, asked directly, without the engine.

An optimisation of pulls: whatever cannot be done raises `RegistryError`, and the engine is asked instead.
"""
