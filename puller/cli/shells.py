"""Completion in bash, zsh and fish: click finds what fits, the scripts here show it.

Of click's own scripts none gets `KIND=PATH` and `--option=VALUE` right. Ours hand over the line up to the cursor, and
get a line for each thing that fits: its type, the word, and what it means, with tabs between. The types are click's
`plain` and `file`, and `tail`: a file whose name begins after the last `=` of the word.
"""

import os
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, split_arg_string

if TYPE_CHECKING:
    import click

COMPLETION = "_PULLER_COMPLETE"
"""Set in the environment by the script of `puller completion`."""
_BASH = """\
# puller in bash: eval "$(puller completion bash)"
%(complete_func)s() {
    local kind word
    COMPREPLY=()
    while IFS=$'\\t' read -r kind word _; do
        case $kind in
        file | tail) compopt -o default ;;
        plain)
            COMPREPLY+=("$word")
            if [[ $word == *= ]]; then compopt -o nospace; fi
            ;;
        esac
    done < <(COMP_WORDS=${COMP_LINE:0:COMP_POINT} %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
# puller in zsh: put this into a folder of $fpath as _puller, or eval "$(puller completion zsh)" after compinit
%(complete_func)s() {
    local line
    local -a parts open described
    for line in "${(@f)$(COMP_WORDS="${(j: :)words[1,CURRENT-1]} $PREFIX" \\
        %(complete_var)s=zsh_complete $words[1] 2>/dev/null)}"; do
        parts=("${(@ps:\\t:)line}")
        case $parts[1] in
            file) _files ;;
            tail) compset -P '*='; _files ;;
            plain)
                if [[ $parts[2] == *= ]]; then open+=("$parts[2]")
                else described+=("${parts[2]//:/\\\\:}:$parts[3]"); fi ;;
        esac
    done
    (( $#open )) && compadd -S '' -a open
    (( $#described )) && _describe -V '%(prog_name)s' described
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then %(complete_func)s "$@"
else compdef %(complete_func)s %(prog_name)s; fi
"""

_FISH = """\
# puller in fish: puller completion fish > ~/.config/fish/completions/puller.fish
function %(complete_func)s
    set -l word (commandline -ct)
    set -lx COMP_WORDS (commandline -cp)
    set -lx %(complete_var)s fish_complete
    %(prog_name)s 2>/dev/null | while read -l -d \\t kind value help
        switch $kind
            case file
                __fish_complete_path "$word"
            case tail
                set -l head (string match -r '^.*=' -- "$word")
                for path in (__fish_complete_path (string replace -r '^.*=' '' -- "$word"))
                    echo "$head$path"
                end
            case plain
                printf '%%s\\t%%s\\n' $value $help
        end
    end
end
complete -f -k -c %(prog_name)s -a "(%(complete_func)s)"
"""


class _Shell(ShellComplete):
    """What the three have in common."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Split the line up to the cursor into whole words and one that is not."""
        line = os.environ.get("COMP_WORDS", "")
        words = split_arg_string(line)
        incomplete = words.pop() if words and not line[-1:].isspace() else ""
        return words[1:], incomplete

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:  # type: ignore[type-arg, unused-ignore] # generic since click 8.4
        """Find what fits, as whole words: click leaves out the `--option=` of `--option=VALUE`."""
        items = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("-"):
            for item in items:
                item.value = f"{option}={item.value}"
                item.type = "tail" if item.type == "file" else item.type
        return items

    def format_completion(self, item: CompletionItem) -> str:  # type: ignore[type-arg, unused-ignore]
        """Write a line of the exchange."""
        return "\t".join((item.type, item.value, " ".join((item.help or "").split())))


class _Bash(_Shell):
    """bash begins a new word after each `=`, and puts what it is given there."""

    name = "bash"
    source_template = _BASH

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:  # type: ignore[type-arg, unused-ignore]
        """Leave out what stands before that word."""
        items = super().get_completions(args, incomplete)
        for item in items:
            item.value = item.value.removeprefix(incomplete[: incomplete.rfind("=") + 1])
        return items


class _Zsh(_Shell):
    name = "zsh"
    source_template = _ZSH


class _Fish(_Shell):
    name = "fish"
    source_template = _FISH


SHELLS = {shell.name: shell for shell in (_Bash, _Zsh, _Fish)}


def register() -> None:
    """Put these in the place of click's own."""
    for shell in SHELLS.values():
        add_completion_class(shell)


def script(shell: str, program: "click.Command") -> str:
    """Return what a shell has to read to complete the verbs, options and values of the program."""
    return SHELLS[shell](program, {}, "puller", COMPLETION).source()


def verbs(lines: dict[str, str], incomplete: str) -> list[Any]:
    """Return the verbs that begin so, each with its line of help."""
    return [CompletionItem(name, help=line) for name, line in sorted(lines.items()) if name.startswith(incomplete)]


def files(incomplete: str) -> list[Any]:
    """Let the shell complete a file."""
    return [CompletionItem(incomplete, type="file")]


def kinds_and_files(kinds: tuple[str, ...], incomplete: str) -> list[Any]:
    """Complete KIND=PATH: first the kind, and after the = a file."""
    kind, equals, path = incomplete.partition("=")
    if equals:
        return [CompletionItem(path, type="tail")] if kind in kinds else []
    return [CompletionItem(f"{each}=") for each in kinds if each.startswith(incomplete)]
