"""The registries of a verb: their client, and what it met that the user should know."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import click

from puller.cli.config_option import registries
from puller.model import PullRequest
from puller.registry.client import RegistryClient
from puller.registry.host import Insecure
from puller.system import docker_config
from puller.system.credentials import Keyring
from puller.text import clean


@contextmanager
def registry_client(insecure: Insecure = ()) -> Iterator[RegistryClient]:
    """Open a client; at the end, its trouble with accounts, and which tags only a mirror resolved, go to stderr."""
    keyring = Keyring()
    with RegistryClient(insecure=insecure, registries=registries(), keyring=keyring) as client:
        yield client
    tell(account_notes(keyring))
    tell(f"{name}: resolved by the mirror {mirror} only" for name, mirror in client.mirrored.items())


def account_notes(keyring: Keyring, told: Sequence[str] = ()) -> list[str]:
    """Return a line for each reason why credentials could not be read, unless a line of `told` contains it."""
    affected: dict[str, list[str]] = {}
    for registry, problem in keyring.problems.items():
        if not any(problem in line for line in told):
            affected.setdefault(problem, []).append(registry)
    return [f"no account for {', '.join(names)}: {problem}" for problem, names in affected.items()]


def tell(notes: Iterable[str]) -> None:
    """Write notes to stderr."""
    for note in notes:
        click.echo(f"puller: {clean(note)}", err=True)


def login_problems(requests: Sequence[PullRequest]) -> list[str]:
    """Return why logins for the registries of these images cannot be read, one line for each reason."""
    registries = dict.fromkeys(request.reference.registry for request in requests)
    return [*docker_config.login_problems(registries, os.environ)]
