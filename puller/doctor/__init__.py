"""Checks for problems that would block or slow pulls: engine, disk, credentials, proxies, mirrors and registries.

Without a list only the engine is contacted; with one, its registries and the configured mirrors as well. Nothing is
pulled, and no request counts against a rate limit.
"""

from puller.doctor.checks import Scope, examine
from puller.doctor.engine import EngineChoice
from puller.doctor.findings import Finding, Verdict

__all__ = ["EngineChoice", "Finding", "Scope", "Verdict", "examine"]
