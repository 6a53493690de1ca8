"""IP addresses and networks, as they stand in lists, URLs and headers."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def ip_address(host: str) -> Address | None:
    """Read an IP address; None for any other name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def contains(network: str, address: Address) -> bool:
    """Tell whether an address is in a network (CIDR); False for an invalid one."""
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, so that nobody else can read what is sent: localhost, 127.0.0.0/8 or ::1."""
    address = ip_address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)
