"""Which IP addresses are the public internet's: where requests may go whose URL somebody else has written."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator (RFC 6052)."""
_LEADING_ELSEWHERE = tuple(
    IPv6Network(network)
    for network in (
        "::/96",  # IPv4-compatible (RFC 4291 §2.5.5.1), unspecified, loopback
        "64:ff9b:1::/48",  # translation within a site (RFC 8215)
        "2001::/32",  # Teredo (RFC 4380)
        "2002::/16",  # 6to4 (RFC 3056)
    )
)


def is_public(address: str) -> bool:
    """Whether a textual IP address is one to connect to.

    False for private, shared (RFC 6598), loopback, link-local, multicast, reserved and unspecified ones, for
    those that lead to such a one or into a tunnel, and for what is no address.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return _global(parsed)
    if parsed.scope_id is not None:
        return False
    if parsed in _TRANSLATED:
        return _global(IPv4Address(int(parsed) & 0xFFFF_FFFF))
    if parsed.ipv4_mapped is not None:
        return _global(parsed.ipv4_mapped)
    tunnelled = any(parsed in network for network in _LEADING_ELSEWHERE)
    return not tunnelled and not parsed.is_site_local and _global(parsed)


def _global(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved
