"""`puller completion`: the script that teaches a shell to complete puller's verbs, options and values."""

import click

from puller.cli.output import emit
from puller.cli.shells import script


@click.command(
    "completion", epilog="For all users: /usr/share/bash-completion/completions/puller, or the folders of zsh and fish."
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what makes SHELL complete verbs, options, kinds of reports and files. Put it where your shell looks.

    \b
    eval "$(puller completion bash)"                                   # in ~/.bashrc
    puller completion zsh > ~/.zfunc/_puller                           # a folder of $fpath
    puller completion fish > ~/.config/fish/completions/puller.fish
    """  # noqa: D301 - click wants the control character itself
    emit(script(shell, ctx.find_root().command))
