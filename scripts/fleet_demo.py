"""The part of scripts/fleet-demo that is easier in Python: the hosts, what befalls them, and the runs of puller.

Everything it starts ends with it, also on Ctrl-C.
"""

import os
import sys

from puller.errors import ExitCode
from scripts import demo
from tests.lab.fleet import Fleet

HOSTS = 4
PATIENCE = ("-o", "ConnectTimeout=3")
"""For ssh, so that the host without a link is given up soon."""


def main() -> None:
    """Show the hosts well, and then with three faults."""
    with Fleet(HOSTS) as fleet:
        environment = os.environ | {"PATH": f"{fleet.ssh(*PATIENCE)}:{os.environ['PATH']}"}
        (fleet.folder / "hosts.txt").write_text("".join(f"{each.url} name={each.name}\n" for each in fleet.hosts))
        check = ("fleet", "check", "--hosts", "hosts.txt")
        demo.run(fleet.folder, environment, 0, *check)
        _break(fleet)
        demo.run(fleet.folder, environment, ExitCode.HOSTS_UNREACHABLE, *check)
        print(f"\nLogins, by the hosts' own count: {', '.join(str(each.logins) for each in fleet.hosts)}")


def _break(fleet: Fleet) -> None:
    _, key, engine, link = fleet.hosts
    key.kill_sshd()
    key.renew_key()
    key.start_sshd()
    engine.engine.kill()
    link.set_link(up=False)
    print(f"\nNow {key.name} has another key, {engine.name} has no engine, and the link of {link.name} is cut.")


if __name__ == "__main__":
    sys.exit(demo.main("fleet-demo", main))
