"""`puller fleet`: the verbs for many hosts, each imported when it is named."""

from importlib import import_module

import click

from puller.cli.config_option import configured

_VERBS = {
    "check": "Check that the engines of many hosts can be reached.",
    "pull": "Pull every image of the lists into the engines of many hosts.",
}
"""The verbs in the order of the help; `check` is the module `fleet_check`."""


class _Fleet(click.Group):
    """Imports a verb only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [*_VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _VERBS:
            return None
        verb: click.Command = import_module(f"puller.cli.commands.fleet_{cmd_name}").command
        return configured(verb)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([*_VERBS.items()])


@click.group("fleet", cls=_Fleet)
def command() -> None:
    """Use the engines of many hosts from this machine, by ssh or TLS; nothing is installed on the hosts.

    \b
    puller fleet check --hosts hosts.txt
    puller fleet pull images.txt --hosts hosts.txt

    `puller plan`, `verify` and `prune` take --hosts, too.
    """  # noqa: D301 - click wants the control character itself
