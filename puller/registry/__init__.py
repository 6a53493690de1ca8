"""The registry protocol: what a registry knows of an image, asked directly, without the engine.

An optimisation: whatever cannot be done raises `RegistryTroubleError`, and the engine is asked instead. What does the
work is imported at use, because requests takes long to load: `puller.registry.client` and `puller.registry.reach`.
"""

from puller.registry.answers import Described, Manifest, Quota, RegistryTroubleError

__all__ = ["Described", "Manifest", "Quota", "RegistryTroubleError"]
