"""What keeps docker's logins from being found, said before the first pull: cron's environment is a bare one."""

import os
from typing import TYPE_CHECKING

import click

from puller import docker_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from puller.model import PullRequest


def warn(requests: "Sequence[PullRequest]") -> None:
    """Say on stderr, a line each, why logins at the registries of these images cannot be had."""
    registries = dict.fromkeys(request.reference.registry for request in requests)
    for trouble in docker_config.troubles(registries, os.environ):
        click.echo(f"puller: {trouble}", err=True)
