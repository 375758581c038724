"""What the dashboard and the REST interface need before they may be reached from elsewhere."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

from dicomnode.config.secure import located
from dicomnode.config.tables import Web
from dicomnode.domain.errors import Fault
from dicomnode.domain.network import LOOPBACK_NAMES


def web_faults(table: Web | None) -> list[Fault]:
    """What is missing: passcodes and tokens do not go over a network in the clear."""
    if table is None:
        return []
    faults = []
    if bool(table.certificate) != bool(table.key):
        remedy = "a certificate and its key belong together; name both"
        faults.append(Fault(key="web.certificate", value=table.certificate, remedy=remedy))
    if table.port and not is_loopback(table.host) and not (table.certificate or table.behind_proxy):
        remedy = (
            "passcodes and patients would go over the network in the clear; name web.certificate and web.key, or set"
            ' behind_proxy = true where a proxy alone can reach this port and does TLS, or host = "127.0.0.1"'
        )
        faults.append(Fault(key="web.host", value=table.host, remedy=remedy))
    for address in table.proxy_addresses:
        try:
            ip_network(address, strict=False)
        except ValueError:
            remedy = "needed an address or a network, such as 10.0.0.5 or 10.0.0.0/24"
            faults.append(Fault(key="web.proxy_addresses", value=address, remedy=remedy))
    return faults


def web_located(table: Web, base: Path) -> Web:
    """The table with whole paths, as `secure.tls_located` finds them."""
    return table.model_copy(update={name: located(getattr(table, name), base) for name in ("certificate", "key")})


def is_loopback(host: str) -> bool:
    """Whether only this machine gets there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES
