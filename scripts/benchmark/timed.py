"""Runs one command and tells what it took: a small process of its own, started as `timed.py FD COMMAND…`.

Linux counts the memory of who starts a program as the program's, too, and the benchmark itself is large.
"""

import json
import os
import resource
import sys
import time


def main() -> None:
    """Write the command's process group to a file descriptor, and its books when it has ended."""
    report, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(report, False)
    began = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, setpgroup=0)
    os.write(report, f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    seconds, usage = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    books = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }
    os.write(report, json.dumps(books).encode())


if __name__ == "__main__":
    main()
