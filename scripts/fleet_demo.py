"""The part of scripts/fleet-demo that is easier in Python: the hosts, what befalls them, and the runs of puller.

Everything it starts ends with it, also on Ctrl-C.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.lab import WorldError
from tests.lab.fleet import Fleet

HOSTS = 4
PATIENCE = ("-o", "ConnectTimeout=3")
"""For ssh, so that the host without a link is given up soon."""


def main() -> int:
    """Show the hosts well, and then with three faults."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Fleet(HOSTS) as fleet:
            environment = os.environ | {"PATH": f"{fleet.ssh(*PATIENCE)}:{os.environ['PATH']}"}
            (fleet.folder / "hosts.txt").write_text("".join(f"{each.url} name={each.name}\n" for each in fleet.hosts))
            _check(fleet, environment)
            _break(fleet)
            _check(fleet, environment)
            print(f"Logins, by the hosts' own count: {', '.join(str(each.logins) for each in fleet.hosts)}")
    except WorldError as error:
        print(f"fleet-demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _break(fleet: Fleet) -> None:
    _, key, engine, link = fleet.hosts
    key.kill_sshd()
    key.renew_key()
    key.start_sshd()
    engine.engine.kill()
    link.set_link(up=False)
    print(f"Now {key.name} has another key, {engine.name} has no engine, and the link of {link.name} is cut.\n")


def _check(fleet: Fleet, environment: dict[str, str]) -> None:
    print("$ puller fleet check --hosts hosts.txt", flush=True)
    program = Path(sys.executable).with_name("puller")
    argv = [str(program), "fleet", "check", "--hosts", "hosts.txt"]
    code = subprocess.run(argv, cwd=fleet.folder, env=environment, check=False).returncode
    print(f"(exit code {code})\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
