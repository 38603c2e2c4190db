"""Web address -> the address that its redirects lead to, refused if that is on this machine or a private network.

FFmpeg would follow a redirect to anywhere: to this machine's own services, to its network, to a cloud's metadata. So it
is told to follow none (FFmpeg 7.1 and later; older ones do not know the option), and each is looked at here first.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import SplitResult, urljoin, urlsplit

from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.io.address import mask_credentials

MOST_REDIRECTS = 5
LONGEST_S = 10.0
"""Time for all redirects together, opening the first address included."""
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_USUAL = "rtsp_flags;prefer_tcp"
"""What OpenCV sets where that variable is not there."""
_CODES = frozenset({301, 302, 303, 307, 308})


def follow_none() -> None:
    """Makes the FFmpeg of this process follow no redirect by itself."""
    options = os.environ.get(_OPTIONS, _USUAL)
    if "max_redirects" not in options:
        os.environ[_OPTIONS] = f"{options}|max_redirects;0"


def redirected(address: str, began_s: float) -> str | None:
    """Returns where a web address leads in the end; None where it does not lead elsewhere, or does not answer in time.

    Args:
        address: One that FFmpeg could not open.
        began_s: When that was begun, by ``time.monotonic``.

    Raises:
        UnavailableError: It leads to an address of this machine or of a private network that the user did not name, to
            something that is no web address, or in a circle.
    """
    if not address.lower().startswith(("http://", "https://")):
        return None
    try:
        named, at = urlsplit(address).hostname, address
    except ValueError:
        # It is no address at all, such as one of IPv6 without its second bracket.
        return None
    for hop in range(MOST_REDIRECTS + 1):
        target = _next(at, LONGEST_S - (time.monotonic() - began_s))
        if target is None:
            return at if hop else None
        at = _checked(_joined(at, target), named, address)
    raise UnavailableError(
        f"{mask_credentials(address)}: is redirected more than {MOST_REDIRECTS} times. Name the last."
    )


def _joined(address: str, target: str) -> str:
    """Returns a target, which may be relative, as an address; as it is where it is none."""
    try:
        return urljoin(address, target)
    except ValueError:
        return target


def _next(address: str, left_s: float) -> str | None:
    """Returns the address that a server names in place of its own, None for none."""
    if left_s <= 0:
        return None
    parts = urlsplit(address)
    with suppress(ValueError):
        return _ask(parts, left_s)
    # A port beyond the last one.
    return None


def _ask(parts: SplitResult, left_s: float) -> str | None:
    """Returns the address that a server names in place of its own, None for none or if it makes no sense.

    Raises:
        ValueError: The port is no port.
    """
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=left_s)
    # A server may send a byte now and then: the whole answer must come in time, and not each part of it.
    watchdog = threading.Timer(left_s, _break_off, [connection])
    watchdog.start()
    try:
        connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl() or "/")
        answer = connection.getresponse()
        return answer.getheader("Location") if answer.status in _CODES else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        watchdog.cancel()
        watchdog.join()
        connection.close()


def _break_off(connection: http.client.HTTPConnection) -> None:
    """Shuts a connection down, so that a pending read ends."""
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _checked(target: str, named: str | None, address: str) -> str:
    """Returns an address that may be opened.

    Raises:
        UnavailableError: It may not.
    """
    shown = mask_credentials(address)
    try:
        parts = urlsplit(target)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnavailableError(
            f"{shown}: is redirected to {parts.scheme}:, which is no web address. Check the address."
        )
    if parts.hostname != named and not _is_public(parts.hostname):
        raise UnavailableError(
            f"{shown}: is redirected to {parts.hostname}, on this machine or in a private network. "
            "Name that address itself if you mean it."
        )
    return target


def _is_public(host: str) -> bool:
    """Returns whether all addresses of a host are reachable from everywhere; False where it has none."""
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(_is_global(ipaddress.ip_address(one)) for one in found)


def _is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global and not address.is_multicast
