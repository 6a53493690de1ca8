"""The hosts of a fleet: of files in text or TOML, of inventories of Ansible, and by their URLs."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import NamedTuple

from puller.errors import ListError
from puller.fleet.candidates import MOST_HOSTS, Candidate, Item, Problem
from puller.fleet.formats import read_file, read_inventory, read_words
from puller.fleet.url import compared, read_url, short_name
from puller.text import clean, counted, shorten

MOST_JOBS = 1000
_MOST_PROBLEMS = 50
_MOST_GUESSES = 1000
"""Groups that are compared with one that does not exist."""
_NAME = re.compile(r"[^\s#=,\x00-\x1f\x7f]{1,253}")
_SHOWN = 80


class FleetHost(NamedTuple):
    """One host whose engine is to be used."""

    name: str
    """Unique; what people see."""
    url: str
    """`ssh://USER@HOST:PORT`, `tcp://HOST:PORT`, `unix:///PATH` or `context:NAME`."""
    jobs: int | None = None
    """Concurrent pulls; None for those of the run."""
    groups: tuple[str, ...] = ()


def read_hosts(
    files: Sequence[str], urls: Sequence[str], inventories: Sequence[str], groups: Sequence[str] = ()
) -> tuple[FleetHost, ...]:
    """Read all hosts, in order; a host that is named twice is one. With `groups` only the hosts of these are returned.

    `files` are text, or TOML by their suffix `.toml`; `-` is standard input. Raises ListError with a line for each bad
    line, and if there are no hosts; but files that are there and name none, such as that of `--unreachable`, are none.
    """
    items = [item for path in files for item in read_file(path)]
    items += map(_from_option, urls)
    items += [item for path in inventories for item in read_inventory(path)]
    hosts, problems = _unite(items)
    known = dict.fromkeys(group for host in hosts for group in host.groups)
    for group in dict.fromkeys(groups):
        if group not in known and not problems:
            meant = get_close_matches(group, islice(known, _MOST_GUESSES), 1)
            hint = f"; did you mean {meant[0]}?" if meant else ""
            problems.append(Problem(f"--group {group}", f"no host is in this group{hint}"))
    chosen = [host for host in hosts if not groups or set(groups) & {*host.groups}]
    is_empty_file = files and not (items or urls or inventories or groups or "-" in files)
    if not chosen and not problems and not is_empty_file:
        where = " and ".join(map(clean, (*files, *inventories))) or "--host"
        problems.append(Problem(where, "no hosts: write one URL per line, such as ssh://web1"))
    if problems:
        shown = [str(each) for each in problems[:_MOST_PROBLEMS]]
        more = len(problems) - len(shown)
        raise ListError([*shown, *([f"and {counted(more, 'bad line')} more"] if more else ())])
    return tuple(chosen)


def host_line(host: FleetHost) -> str:
    """Return the line of a text file for a host; `read_hosts` reads the same host from it."""
    words = [host.url]
    if host.name != short_name(host.url):
        words.append(f"name={host.name}")
    if host.jobs:
        words.append(f"jobs={host.jobs}")
    if host.groups:
        words.append(f"groups={','.join(host.groups)}")
    return " ".join(words)


def _from_option(text: str) -> Item:
    """Read a URL, and after it perhaps `name=…` and the like, as in a line of a file."""
    words = text.split()
    more = words[1:]
    return read_words(words, "--host") if more and all("=" in word for word in more) else Candidate("--host", text)


def _unite(items: Iterable[Item]) -> tuple[list[FleetHost], list[Problem]]:
    """Check the candidates, and join those with the same URL."""
    hosts: dict[str, FleetHost] = {}
    groups: dict[str, dict[str, None]] = {}
    problems: list[Problem] = []
    places: dict[str, str] = {}
    for item in items:
        host = item if isinstance(item, Problem) else _checked(item)
        if isinstance(host, Problem):
            problems.append(host)
            continue
        where, key = item.where, compared(host.url)
        if before := hosts.get(key):
            groups[key].update(dict.fromkeys(host.groups))
            hosts[key] = before._replace(jobs=before.jobs or host.jobs)
        elif host.name in places:
            first = places[host.name]
            problems.append(
                Problem(where, f"{host.name} is also another host's name ({first}): add name=… after the URL")
            )
        elif len(hosts) == MOST_HOSTS:
            problems.append(Problem(where, f"more than {MOST_HOSTS} hosts"))
            break
        else:
            hosts[key], groups[key] = host, dict.fromkeys(host.groups)
            places[host.name] = where
    return [host._replace(groups=tuple(groups[key])) for key, host in hosts.items()], problems


def _checked(found: Candidate) -> FleetHost | Problem:
    try:
        url = read_url(found.url)
    except ValueError as error:
        return Problem(found.where, str(error))
    name = short_name(url) if found.name is None else found.name
    if not _NAME.fullmatch(name) or not name.isprintable():
        return Problem(
            found.where, f"{shorten(name, _SHOWN)!r} is no name of a host: leave out spaces, #, = and commas"
        )
    jobs = found.jobs
    if jobs is not None and not (str(jobs).isdecimal() and 1 <= int(str(jobs)[:9]) <= MOST_JOBS):
        return Problem(found.where, f"jobs={shorten(str(jobs), 20)} is not a number from 1 to {MOST_JOBS}")
    for group in found.groups:
        if not _NAME.fullmatch(group) or not group.isprintable():
            return Problem(found.where, f"{shorten(group, _SHOWN)!r} is no name of a group")
    return FleetHost(name, url, int(jobs) if jobs is not None else None, tuple(dict.fromkeys(found.groups)))
