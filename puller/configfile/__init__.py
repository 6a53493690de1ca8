"""Configuration files: where they are, what they say, and on which line. Values are in `puller.config`.

What a verb's options may be is known to the command line alone; the tables of registries are read here.
"""

from puller.configfile.finding import Found, find
from puller.configfile.reading import ConfigFile, Value, read
from puller.configfile.registries import TABLE, registries_in, settings
from puller.configfile.suggestion import suggest

__all__ = [
    "TABLE",
    "ConfigFile",
    "Found",
    "Value",
    "find",
    "read",
    "registries_in",
    "settings",
    "suggest",
]
