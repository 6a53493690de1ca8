"""The registry protocol: images are looked up directly, without the engine.

This optimises pulls: after a `RegistryError` the engine is asked instead.
"""
