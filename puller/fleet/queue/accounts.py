"""The accounts of a broker: a file for each, with its address and password, to be copied to its host."""

import re
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import quote, unquote, urlsplit

from puller.errors import UsageError
from puller.fleet.queue.address import VHOST
from puller.system import files
from puller.system.directories import make_directory

_LINE = re.compile(r"^PULLER_BROKER=(\S+)$", re.MULTILINE)
_LONGEST = 64 << 10


class Accounts:
    """The passwords of hosts and the controller, in files `NAME.env` of a folder that only its owner can read."""

    def __init__(self, url: str, folder: Path | None) -> None:
        """Use the address of the broker without a user; without a folder there are no passwords. Raises UsageError."""
        parts = urlsplit(url)
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname or "@" in parts.netloc:
            raise UsageError("--url is the broker without an account, such as amqps://broker.example:5671/puller")
        self._scheme, self._place, self._folder = parts.scheme, parts.netloc, folder
        self.vhost = unquote(parts.path[1:]) or VHOST
        if folder:
            try:
                make_directory(folder)
            except OSError as error:
                raise UsageError(str(error.strerror or error)) from None

    def password(self, name: str) -> str:
        """Return the password of an account; makes it, and the file, if there is none. Raises UsageError."""
        if self._folder is None:
            return ""
        if password := self._known(name):
            return password
        password = token_urlsafe(24)
        line = f"PULLER_BROKER={self._url(name, password)}\n"
        files.write(self._file(name), f"# The broker for the account {name}; keep it secret.\n{line}", private=True)
        return password

    def url(self, name: str) -> str:
        """Return the address for an account."""
        return self._url(name, self._known(name))

    def _known(self, name: str) -> str:
        if self._folder is None or not self._file(name).exists():
            return ""
        try:
            found = _LINE.search(files.read(self._file(name), _LONGEST))
            return unquote(urlsplit(found[1]).password or "") if found else ""
        except (OSError, ValueError) as error:
            raise UsageError(f"{self._file(name)} cannot be read: {error}") from None

    def _file(self, name: str) -> Path:
        return (self._folder or Path()) / f"{name}.env"

    def _url(self, name: str, password: str) -> str:
        secret = f":{quote(password, safe='')}" if password else ""
        return f"{self._scheme}://{quote(name, safe='')}{secret}@{self._place}/{quote(self.vhost, safe='')}"
