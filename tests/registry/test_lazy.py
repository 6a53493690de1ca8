"""Nobody pays for the client who does not ask a registry."""

import subprocess
import sys


def test_the_package_is_light() -> None:
    """Its values and its exception come without requests."""
    script = "import sys, puller.registry; print('requests' in sys.modules, 'docker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
