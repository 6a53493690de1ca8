"""The part of scripts/fleet-demo that is easier in Python: the hosts, what befalls them, and the runs of puller.

Everything it starts ends with it, also on Ctrl-C or when the terminal is closed.
"""

import os
import sys

from puller.errors import ExitCode
from scripts import demo
from tests.lab.fleet import Fleet

HOSTS = 4
FILE = "hosts.txt"
COMMAND = ("fleet", "check", "--hosts", FILE)
PATIENCE = ("-o", "ConnectTimeout=3")
"""For ssh, so that the host without a link is given up soon."""


def main() -> None:
    """Show the hosts well, and then with three faults."""
    with Fleet(HOSTS) as fleet:
        environment = os.environ | {"PATH": f"{fleet.ssh(*PATIENCE)}:{os.environ['PATH']}"}
        (fleet.folder / FILE).write_text("".join(f"{each.url} name={each.name}\n" for each in fleet.hosts))
        demo.show("cat", FILE)
        print((fleet.folder / FILE).read_text(), end="")
        demo.run(fleet.folder, environment, 0, *COMMAND)
        _break(fleet)
        demo.run(fleet.folder, environment, ExitCode.HOSTS_UNREACHABLE, *COMMAND)
        logins = ", ".join(f"{each.name} {each.logins}" for each in fleet.hosts)
        print(f"\nLogins of both checks, as the hosts count them: {logins}")
    print("\nEverything is stopped and removed.", flush=True)


def _break(fleet: Fleet) -> None:
    _, key, engine, link = fleet.hosts
    key.kill_sshd()
    key.renew_key()
    key.start_sshd()
    engine.engine.kill()
    link.set_link(up=False)
    print(f"\nNow {key.name} has another key, {engine.name} has no engine, and the link of {link.name} is cut:")


if __name__ == "__main__":
    sys.exit(demo.main("fleet-demo", main))
