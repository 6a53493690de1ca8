"""The command line: verbs, options, progress; the only package that reads the environment and exits."""
