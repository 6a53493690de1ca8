"""Hosts of files, inventories and options: what is read, what is one host, and what is said of bad lines."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from puller.errors import ListError
from puller.fleet.candidates import MOST_HOSTS, Problem
from puller.fleet.hosts import FleetHost, host_line, read_hosts
from puller.fleet.inventory import _Inventory, expand
from puller.fleet.url import read_url, ssh_target

INI = """
lonely:2200 ansible_user=root
; a comment
[web]
web[01:03].example.com ansible_user=deploy # who deploys

[db]
db1 ansible_host=10.0.0.9 ansible_port=22 other="two words"

[prod:children]
web
db

[prod:vars]
ansible_port=2222
ansible_user = "ops"
"""
YAML = """
all:
  vars: {ansible_user: ops}
  children:
    web:
      vars: {ansible_port: 2222}
      hosts:
        w[1:2]:
        z: {ansible_host: "fe80::1", ansible_port: 2022}
    here:
      hosts:
        localhost: {ansible_connection: local}
"""
TOML = """
[[host]]
url = "ssh://build@web1"
jobs = 3
groups = ["build", "arm"]

[[host]]
url = "context:prod"
name = "production"
"""
TEXT = """\
# hosts
web1
ssh://joe@web2:2222 jobs=4 groups=a,b   # hi
tcp://10.0.0.1:2376/ name=x
unix:///run/docker.sock
context:prod
[fe80::1]:22
ssh://web3/run/user/1000/docker.sock
"""


def problems(*files: str, urls: tuple[str, ...] = (), inventories: tuple[str, ...] = ()) -> list[str]:
    """Return what is said of lists that are refused."""
    with pytest.raises(ListError) as caught:
        read_hosts(files, urls, inventories)
    return [*caught.value.problems]


def written(folder: Path, text: str, name: str = "hosts.txt") -> str:
    """Write a file and return its path."""
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_text_file_has_a_host_a_line(tmp_path: Path) -> None:
    """Every kind of address, comments, and the words that may follow."""
    assert read_hosts([written(tmp_path, TEXT)], [], []) == (
        FleetHost("web1", "ssh://web1"),
        FleetHost("web2:2222", "ssh://joe@web2:2222", 4, ("a", "b")),
        FleetHost("x", "tcp://10.0.0.1:2376"),
        FleetHost("/run/docker.sock", "unix:///run/docker.sock"),
        FleetHost("prod", "context:prod"),
        FleetHost("[fe80::1]:22", "ssh://[fe80::1]:22"),
        FleetHost("web3", "ssh://web3/run/user/1000/docker.sock"),
    )


@pytest.mark.parametrize(("text", "name"), [(TEXT, "hosts.txt"), (TOML, "hosts.toml")])
def test_a_line_of_a_host_is_read_as_that_host(tmp_path: Path, text: str, name: str) -> None:
    """The file of unreachable hosts is valid input for the next run."""
    hosts = read_hosts([written(tmp_path, text, name)], [], [])
    again = written(tmp_path, "".join(f"{host_line(host)}\n" for host in hosts), "again.txt")
    assert read_hosts([again], [], []) == hosts


def test_toml_has_a_table_for_each_host(tmp_path: Path) -> None:
    """With names, jobs and groups."""
    assert read_hosts([written(tmp_path, TOML, "hosts.toml")], [], []) == (
        FleetHost("web1", "ssh://build@web1", 3, ("build", "arm")),
        FleetHost("production", "context:prod"),
    )


def test_an_inventory_in_ini_is_read(tmp_path: Path) -> None:
    """Ranges, groups in groups, and variables: a host's own wins over those of its groups."""
    hosts = read_hosts([], [], [written(tmp_path, INI, "inventory")])
    assert [host.url for host in hosts] == [
        "ssh://root@lonely:2200",
        *(f"ssh://deploy@web0{number}.example.com:2222" for number in (1, 2, 3)),
        "ssh://ops@10.0.0.9:22",
    ]
    assert (hosts[-1].name, hosts[-1].groups) == ("db1", ("db", "prod"))


def test_an_inventory_in_yaml_is_read(tmp_path: Path) -> None:
    """The same in the other notation; a host of connection `local` is this machine's engine."""
    hosts = read_hosts([], [], [written(tmp_path, YAML, "hosts.yml")])
    assert [(host.name, host.url) for host in hosts] == [
        ("w1", "ssh://ops@w1:2222"),
        ("w2", "ssh://ops@w2:2222"),
        ("z", "ssh://ops@[fe80::1]:2022"),
        ("localhost", "unix:///var/run/docker.sock"),
    ]


def test_files_without_hosts_name_none(tmp_path: Path) -> None:
    """As `--unreachable` writes them; but what is piped in, an inventory and a group must have hosts."""
    empty = written(tmp_path, "# 0 hosts not reached\n\n")
    assert read_hosts((empty, written(tmp_path, "", "empty.toml")), (), ()) == ()
    assert "no hosts" in problems(inventories=(empty,))[0]
    with pytest.raises(ListError, match="no host is in this group"):
        read_hosts((empty,), (), (), ("build",))


def test_a_url_of_the_command_line_may_have_a_name() -> None:
    """As a line of a file: two logins of one host are told apart."""
    (told,) = problems(urls=("web1", "root@web1"))
    assert "add name=… after the URL" in told
    hosts = read_hosts((), ("web1", "root@web1 name=admin jobs=2"), ())
    assert hosts == (FleetHost("web1", "ssh://web1"), FleetHost("admin", "ssh://root@web1", 2))
    assert "'' is not a host" in problems(urls=("",))[0]


def test_the_same_host_twice_is_one(tmp_path: Path) -> None:
    """However it is written; its groups are joined."""
    path = written(tmp_path, "web1 groups=a\nssh://web1 groups=b jobs=2\nTCP.example:22\n")
    hosts = read_hosts([path, path], ["web1"], [])
    assert hosts[0] == FleetHost("web1", "ssh://web1", 2, ("a", "b"))
    assert len(hosts) == 2


def test_a_group_selects_hosts_and_a_misspelt_one_is_named(tmp_path: Path) -> None:
    """A wrong group must not mean all hosts, nor none."""
    path = written(tmp_path, INI, "inventory")
    assert [host.name for host in read_hosts([], ["other"], [path], ["db"])] == ["db1"]
    with pytest.raises(ListError, match=r"--group dbb: no host is in this group; did you mean db\?"):
        read_hosts([], [], [path], ["dbb"])


def test_every_bad_line_is_told_with_its_place(tmp_path: Path) -> None:
    """File, line, reason and what to do; nothing else is read out of a password."""
    bad = written(
        tmp_path,
        "-oProxyCommand=x\nssh://u:pw@h\nok jobs=0\nok2 foo\nftp://x\ntcp://h\nh;rm -f\nssh://a@-b\nssh://h:70000\n"
        "context:../x\nssh://h/a:b\nssh://h/$HOME/x\nok3 name=a#b\nsame\nssh://u@same\n",
    )
    told = problems(bad)
    assert [each.partition(": ")[0] for each in told] == [f"{bad}:{number}" for number in (*range(1, 13), 13, 15)]
    assert "begins like an option of ssh" in told[0]
    assert "begins like an option of ssh" in told[7]
    assert "pw" not in told[1]
    assert "add name=" in told[-1]


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("[[host]]\nx = 1\n", "a.toml", "a.toml:1: unknown key 'x'"),
        ('[[host]]\nurl = "a"\n\n[[host]]\nurl = "b"\njobs = "c"\n', "a.toml", "a.toml:4: jobs must be a number"),
        ("[host]\nurl = 1\n", "a.toml", "two brackets"),
        ("[[host]\n", "a.toml", "a.toml:1: not TOML"),
        (f"\na{'.a' * 1000} = 1\n", "a.toml", "a.toml:2: a key with too many dots"),
        ("[" + '"\\"".' * 500 + "b]\n", "a.toml", "a.toml:1: a key with too many dots"),
        ("a = {b" + " . 'c\u2028'" * 400 + " = 1}\n", "a.toml", "a.toml:1: a key with too many dots"),
        ("a = [" + "1, " * 2000 + "]\n", "a.toml", "a.toml:1: longer than 4096 characters"),
    ],
)
def test_a_bad_file_is_told(tmp_path: Path, text: str, name: str, reason: str) -> None:
    """One line that says where and why."""
    (line,) = problems(written(tmp_path, text, name))
    assert reason in line


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a[1:", "has a range that is not like web[01:20]"),
        ('b "x', "a quote without its end"),
        ("[g:foo]", "unknown section"),
        ("c[5:1]", "is empty"),
        ("d[1:999999]", f"more than {MOST_HOSTS} hosts"),
        ("d[1:999][1:999]", f"more than {MOST_HOSTS} hosts"),
        ("e z", "only variables NAME=VALUE may follow"),
        ('f ansible_host="{{ x }}"', "is a template"),
        ("#!/bin/sh", "a program"),
        ("all:\n  hosts: [a]\n", "must be a mapping"),
        ("all:\n  hosts:\n   a: {\n", "not valid YAML"),
        ("g ansible_host=-oProxyCommand=x", "begins like an option"),
        ("h ansible_user=-l", "begins like an option"),
        (f"i{'[1:1]' * 11}", "has more than 10 ranges"),
        ("j" * 501, "is longer than 500 characters"),
        ("k " + "x=y " * 2000, "longer than 4096 characters"),
        (f"l ansible_user={'u' * 501}", "l: a variable is longer than 500 characters"),
    ],
)
def test_a_bad_inventory_is_told(tmp_path: Path, text: str, reason: str) -> None:
    """What Ansible alone can read is refused, and not left out in silence."""
    assert reason in problems(inventories=(written(tmp_path, text, "inventory"),))[0]


def test_groups_in_a_circle_end(tmp_path: Path) -> None:
    """A group that is in itself is read as far as it can be."""
    text = "[a:children]\nb\n[b:children]\na\n[a]\nh\n[b:vars]\nansible_user=joe\n"
    assert read_hosts([], [], [written(tmp_path, text, "i")]) == (FleetHost("h", "ssh://joe@h", None, ("a", "b")),)


def test_files_have_a_limit(tmp_path: Path) -> None:
    """Neither a huge file nor one with too many hosts, bad lines or a long line fills the memory or the screen."""
    assert "larger than 4 MiB" in problems(written(tmp_path, "#" * (5 << 20)))[0]
    assert "longer than" in problems(written(tmp_path, "a" * 5000))[0]
    many = "".join(f"h{number}\n" for number in range(MOST_HOSTS + 5))
    assert problems(written(tmp_path, many)) == [f"{tmp_path}/hosts.txt:{MOST_HOSTS + 1}: more than {MOST_HOSTS} hosts"]
    assert len(problems(written(tmp_path, "a b\n" * 500))) == 51
    assert problems("/nonexistent/hosts", "/dev/zero")[1] == "/dev/zero: cannot be read: not a regular file"


def _ranges() -> str:
    """Name the same hosts again and again."""
    return "[a]\n" + "w[1:9999]\n" * 10_000


def _aliases() -> str:
    """Name a group ten times in each of ten groups, which are ten times in others, and so on."""
    levels = (
        f"    l{at}: &l{at}\n      children: {{{', '.join(f'x{at}_{number}: *l{at - 1}' for number in range(10))}}}\n"
        for at in range(1, 10)
    )
    return f"all:\n  children:\n    l0: &l0 {{hosts: {{h1: }}}}\n{''.join(levels)}"


def _above() -> str:
    """Have hosts in groups that are in all earlier ones."""
    above = (f"[g{at}:children]\n" + "".join(f"g{before}\n" for before in range(at)) for at in range(300))
    return "".join(above) + "".join(f"[g{at}]\nw[1:3000]\n" for at in range(30))


@pytest.mark.parametrize("text", [_ranges(), _aliases(), _above()])
def test_a_small_inventory_cannot_stand_for_millions(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are counted, with all their groups; beyond the limit no more is read, and one line says it."""
    added: list[str] = []
    add = _Inventory.add

    def counted(self: _Inventory, pattern: str, group: str, where: str, variables: Mapping[str, str]) -> Problem | None:
        added.append(pattern)
        return add(self, pattern, group, where, variables)

    monkeypatch.setattr("puller.fleet.inventory._Inventory.add", counted)
    (line,) = problems(inventories=(written(tmp_path, text, "inventory"),))
    assert "more than 500000 hosts, each counted once for each group" in line
    assert len(added) < 500_000


def test_hosts_may_share_many_variables(tmp_path: Path) -> None:
    """By an alias; only those that say how to log in are looked at."""
    shared = ", ".join(f"v{number}: 1" for number in range(1000))
    hosts = "".join(f"    h{number}: *v\n" for number in range(2000))
    text = f"all:\n  hosts:\n    h: &v {{{shared}, ansible_user: joe}}\n{hosts}"
    found = read_hosts([], [], [written(tmp_path, text, "hosts.yml")])
    assert (len(found), found[-1].url) == (2001, "ssh://joe@h1999")


def test_a_range_that_is_too_long_is_not_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names are counted first."""
    monkeypatch.setattr("puller.fleet.inventory.product", None)
    for pattern in ("w[1:9999][1:9999]", "w[0:999999999]", "w" + "[1:2]" * 14):
        with pytest.raises(ValueError, match=r"more than 10000 hosts|more than 10 ranges"):
            expand(pattern)


def test_paths_of_groups_are_not_followed_one_by_one(tmp_path: Path) -> None:
    """Ten groups in each of ten others, fifty times, have 10⁵⁰ ways to the top, and 490 groups."""
    edges = (
        f"[l{at + 1}x{above}:children]\n" + "".join(f"l{at}x{below}\n" for below in range(10))
        for at in range(49)
        for above in range(10)
    )
    path = written(tmp_path, "".join(edges) + "[l0x0]\nw\n", "inventory")
    (host,) = read_hosts([], [], [path])
    assert len(host.groups) == 1 + 490


def test_names_of_hosts_are_the_same_in_capitals(tmp_path: Path) -> None:
    """DNS knows no difference; users and sockets do, and what was typed first is kept for ssh_config."""
    same, others = ("Web1", "wEB1 groups=a"), ("JOE@web1 name=x", "joe@web1/S name=y", "joe@web1/s name=z")
    lines = [*(f"ssh://joe@{each}" for each in same), *(f"ssh://{each}" for each in others)]
    hosts = read_hosts([written(tmp_path, "\n".join(lines))], [], [])
    assert hosts[0] == FleetHost("Web1", "ssh://joe@Web1", None, ("a",))
    assert [host.name for host in hosts] == ["Web1", "x", "y", "z"]


@given(st.text(max_size=60))
def test_no_text_becomes_an_option_of_ssh(text: str) -> None:
    """Whatever a URL is, what would be passed to ssh begins with a letter or a digit."""
    try:
        url = read_url(text)
    except ValueError:
        return
    if url.startswith("ssh://"):
        target = ssh_target(url)
        assert target.host[0].isalnum() or target.host[0] in "_:"
        assert target.user is None or target.user[0].isalnum() or target.user[0] == "_"
        assert target.socket.startswith("/")
        assert read_url(url) == url


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web", ["web"]),
        ("w[08:10]x", ["w08x", "w09x", "w10x"]),
        ("w[a:c]", ["wa", "wb", "wc"]),
        ("w[1:9:4]", ["w1", "w5", "w9"]),
        ("r[1:2]-[a:b]", ["r1-a", "r1-b", "r2-a", "r2-b"]),
        ("[::1]:22", ["[::1]:22"]),
    ],
)
def test_ranges_are_those_of_ansible(pattern: str, names: list[str]) -> None:
    """Leading zeros, letters, steps, and several in one name."""
    assert expand(pattern) == names
