"""`puller completion`: the script that teaches a shell to complete puller's verbs, options and values."""

from typing import Any

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete, add_completion_class

from puller.cli.output import emit

_VARIABLE = "_PULLER_COMPLETE"
"""Click's name for the environment variable by which its scripts ask the program."""


class _OptionWithEquals(ShellComplete):
    """Completes VALUE in `--option=VALUE`, of which click hands the shell the value alone, and bash three words."""

    def get_completions(self, args: list[str], incomplete: str) -> list[Any]:
        if args[-1:] == ["="]:
            args = args[:-1]
        items = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("-"):
            for item in items:
                item.value = f"{option}={item.value}"
        return items


class _Bash(_OptionWithEquals, BashComplete):
    pass


class _Zsh(_OptionWithEquals, ZshComplete):
    pass


class _Fish(_OptionWithEquals, FishComplete):
    pass


_SHELLS = {shell.name: add_completion_class(shell) for shell in (_Bash, _Zsh, _Fish)}


@click.command(
    "completion", epilog="For all users: /usr/share/bash-completion/completions/puller, or the folders of zsh and fish."
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what makes SHELL complete verbs, options, kinds of reports and files. Put it where your shell looks.

    \b
    eval "$(puller completion bash)"                                   # in ~/.bashrc
    puller completion zsh > ~/.zfunc/_puller                           # a folder of $fpath
    puller completion fish > ~/.config/fish/completions/puller.fish
    """  # noqa: D301 - click wants the control character itself
    emit(_SHELLS[shell](ctx.find_root().command, {}, "puller", _VARIABLE).source())
