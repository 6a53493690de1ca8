"""What keeps docker's logins from being found, said before the first pull: cron's environment is a bare one."""

import os
from collections.abc import Sequence

import click

from puller.model import PullRequest
from puller.system import docker_config


def warn(requests: Sequence[PullRequest]) -> None:
    """Say on stderr, a line each, why logins at the registries of these images cannot be had."""
    registries = dict.fromkeys(request.reference.registry for request in requests)
    for trouble in docker_config.login_problems(registries, os.environ):
        click.echo(f"puller: {trouble}", err=True)
