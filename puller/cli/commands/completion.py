"""`puller completion`: the script for completion in a shell."""

from typing import Any

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete, add_completion_class

from puller.cli.output import emit


class _OptionWithEquals(ShellComplete):
    """Completes VALUE in `--option=VALUE`: click returns only the value, and bash passes three words."""

    def get_completions(self, args: list[str], incomplete: str) -> list[Any]:
        if args[-1:] == ["="]:
            args = args[:-1]
        items = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("-"):
            for item in items:
                item.value = f"{option}={item.value}"
        return items


_SHELLS: dict[str, type[ShellComplete]] = {
    shell.name: add_completion_class(type(shell.__name__, (_OptionWithEquals, shell), {}))
    for shell in (BashComplete, ZshComplete, FishComplete)
}


@click.command(
    "completion",
    epilog="For all users: /usr/share/bash-completion/completions/puller, or the directories of zsh and fish.",
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL, for commands, options and their values.

    \b
    eval "$(puller completion bash)"                                   # in ~/.bashrc
    puller completion zsh > ~/.zfunc/_puller                           # a directory in $fpath
    puller completion fish > ~/.config/fish/completions/puller.fish
    """  # noqa: D301 - click wants the control character itself
    emit(_SHELLS[shell](ctx.find_root().command, {}, "puller", "_PULLER_COMPLETE").source())
