"""Kamailio as the provider that trunkline's line registers to and calls through.

`Kamailio` starts it with `kamailio/provider.cfg` and a generated list of accounts; customers use its public port (UDP
and TCP, everything is challenged with MD5 digest), the mobile network its mobile port. `contacts` asks it, over its
JSON-RPC socket, who is registered. `Edge` is an edge proxy before it. Used by conftest.py's fixtures `kamailio` and `edge`.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.namespace import Namespace
from peers.process import PeerError, Program, wait_until

CONFIGS = Path(__file__).resolve().parent.parent / "kamailio"
FLOW_TIMER_S = 10
START_TIMEOUT_S = 10.0
RPC_TIMEOUT_S = 3.0
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


@dataclass(frozen=True)
class ProviderSettings:
    """What the provider is.

    Attributes:
        accounts: user name to password; also what the digest's user name is.
        numbers: telephone number to the account that owns it.
        realm: of the digest challenges.
        next_hop: the SIP URI of the mobile network, for numbers that are no account's; without one they get 404.
        min_expires_s: a REGISTER that asks for less is granted this.
        max_expires_s: a REGISTER that asks for more is granted this.
        edge_port: customers come by an edge proxy at this port of the same address, and by no other way: it grants them
            a Service-Route (RFC 3608), insists on it in every call, and refuses a REGISTER without Path (RFC 3327).
        outbound: it refuses a REGISTER without outbound (RFC 5626), and grants a Flow-Timer of 10 s.
    """

    accounts: Mapping[str, str]
    numbers: Mapping[str, str] = field(default_factory=dict)
    realm: str = "itsp.example"
    next_hop: str | None = None
    min_expires_s: int = 2
    max_expires_s: int = 3600
    edge_port: int | None = None
    outbound: bool = False


@dataclass(frozen=True)
class Contact:
    """One registered contact.

    Attributes:
        uri: the Contact's URI as registered, with its parameters.
        received: where its requests are sent instead, when it was behind a NAT.
        expires_s: the seconds left.
        user_agent: as the REGISTER said.
        path: the Path through which its requests go; empty without.
        instance: its instance ID (RFC 5626 §4.1), when it was registered with outbound.
    """

    uri: str
    received: str
    expires_s: int
    user_agent: str
    path: str = ""
    instance: str = ""


class Instance:
    """A running Kamailio, whatever its configuration makes of it.

    Args:
        folder: where its files go.
        name: of its configuration in `kamailio/`, without the ending.
        defines: what the configuration is told, by name.
        sockets: where it listens, as Kamailio writes it.
        inside: the namespace that it runs in.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        defines: Mapping[str, str | int],
        sockets: Sequence[str],
        inside: Namespace | None = None,
    ) -> None:
        self.inside = inside
        folder.mkdir(parents=True, exist_ok=True)
        self._rpc_path = folder / "rpc"
        config = folder / f"{name}.cfg"
        config.write_text((CONFIGS / config.name).read_text(encoding="utf-8"))
        told = {**defines, "RPC_SOCKET": f'"{self._rpc_path}"'}
        argv = [
            *("kamailio", "-DD", "-E", "-f", str(config), "-Y", str(folder), "-m", "32", "-M", "4"),
            *(word for key, value in told.items() for word in ("-A", f"{key}={value}")),
            *(word for listen in sockets for word in ("-l", listen)),
        ]
        argv = inside.command(argv) if inside else argv
        self.program = Program(argv, folder / "kamailio.log", name=f"kamailio({name})")
        try:
            self.program.wait(self._rpc_path.exists, START_TIMEOUT_S, "its RPC socket")
            self.program.wait(self._answers, START_TIMEOUT_S, "an answer over RPC")
        except PeerError:
            self.stop()
            raise

    def _answers(self) -> bool:
        try:
            return bool(self.rpc("core.version"))
        except PeerError:
            return False

    def rpc(self, method: str, *params: str) -> Any:
        """Call one of Kamailio's RPC methods and return its result.

        Raises:
            PeerError: it did not answer in time, or answered with an error.
        """
        own = self._rpc_path.with_name(f"rpc-client-{os.getpid()}")
        own.unlink(missing_ok=True)
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.bind(str(own))
            client.settimeout(RPC_TIMEOUT_S)
            try:
                client.sendto(json.dumps(request).encode(), str(self._rpc_path))
                answer = json.loads(client.recv(65536))
            except OSError as error:
                raise self.program.failure(f"did not answer {method} ({error})") from error
            finally:
                own.unlink(missing_ok=True)
        if "error" in answer:
            raise PeerError(f"kamailio answered {method} with {answer['error']}")
        return answer["result"]

    def stop(self) -> None:
        """End it; registrations are forgotten."""
        self.program.stop()
        self._rpc_path.unlink(missing_ok=True)


class Edge(Instance):
    """A running edge proxy before a provider.

    Args:
        folder: where its files go.
        provider: the provider, in the same namespace; its settings name the edge's port.
    """

    def __init__(self, folder: Path, provider: Kamailio) -> None:
        port = provider.settings.edge_port
        assert port is not None, "the provider knows no edge"
        self.address, self.port = provider.address, port
        defines: dict[str, str | int] = {
            "EDGE_PORT": port,
            "PROVIDER": f'"{provider.uri}"',
            "PROVIDER_PORT": provider.port,
            **({"OUTBOUND": 1} if provider.settings.outbound else {}),
        }
        super().__init__(folder, "edge", defines, _sockets(self.address, port), provider.inside)

    @property
    def server(self) -> str:
        """Address and port, for customers."""
        return f"{self.address}:{self.port}"


class Kamailio(Instance):
    """A running provider.

    Args:
        folder: where its files go.
        address: the IP address that it listens on.
        port: the customers' port.
        mobile_port: the port of the mobile network's calls.
        settings: accounts, numbers and the rest.
        inside: the namespace that it runs in.
    """

    def __init__(
        self,
        folder: Path,
        address: str,
        port: int,
        mobile_port: int,
        settings: ProviderSettings,
        inside: Namespace | None = None,
    ) -> None:
        self.address, self.port, self.mobile_port = address, port, mobile_port
        self.settings = settings
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "accounts.cfg").write_text(_accounts(settings))
        super().__init__(folder, "provider", self._defines(), _sockets(address, port, mobile_port), inside)

    def _defines(self) -> dict[str, str | int]:
        settings = self.settings
        optional: dict[str, str | int] = {}
        if settings.next_hop:
            optional["NEXT_HOP"] = f'"{settings.next_hop}"'
        if settings.edge_port:
            routes = f"<sip:{self.address}:{settings.edge_port};lr>, <sip:orig@{self.address}:{self.port};lr>"
            optional |= {"EDGE_PORT": settings.edge_port, "SERVICE_ROUTE": f'"Service-Route: {routes}\\r\\n"'}
        if settings.outbound:
            optional["FLOW_TIMER"] = FLOW_TIMER_S
        return optional | {
            "PUBLIC_PORT": self.port,
            "MOBILE_PORT": self.mobile_port,
            "MIN_EXPIRES": settings.min_expires_s,
            "MAX_EXPIRES": settings.max_expires_s,
            "REALM": f'"{settings.realm}"',
        }

    @property
    def server(self) -> str:
        """Address and port of the customers' side."""
        return f"{self.address}:{self.port}"

    @property
    def mobile_server(self) -> str:
        """Address and port of the mobile network's side."""
        return f"{self.address}:{self.mobile_port}"

    @property
    def uri(self) -> str:
        """The URI of the customers' side, without a user."""
        return f"sip:{self.address}:{self.port}"

    @property
    def mobile_uri(self) -> str:
        """The URI of the mobile network's side, without a user."""
        return f"sip:{self.address}:{self.mobile_port}"

    def contacts(self, user: str) -> list[Contact]:
        """The contacts that are registered for an account."""
        try:
            found = self.rpc("ul.lookup", "location", user)
        except PeerError as error:
            if "not found" in str(error).lower():
                return []
            raise
        return [_contact(entry["Contact"]) for entry in found["Contacts"]]

    def wait_registered(self, user: str, timeout_s: float = 10.0) -> Contact:
        """Wait until an account has a contact, and return the first."""
        return wait_until(lambda: self.contacts(user), timeout_s, f"{user} registers at kamailio")[0]

    def wait_unregistered(self, user: str, timeout_s: float = 10.0) -> None:
        """Wait until an account has no contact."""
        wait_until(lambda: not self.contacts(user), timeout_s, f"{user} is no longer registered at kamailio")


def _sockets(address: str, *ports: int) -> list[str]:
    return [f"{transport}:{address}:{port}" for transport in ("udp", "tcp") for port in ports]


def _contact(entry: Mapping[str, Any]) -> Contact:
    def text(name: str) -> str:
        value = str(entry.get(name, ""))
        return "" if value == "[not set]" else value

    return Contact(
        uri=str(entry["Address"]),
        received=text("Received"),
        expires_s=int(entry["Expires"]) if str(entry["Expires"]).lstrip("-").isdigit() else 0,
        user_agent=text("User-Agent"),
        path=text("Path"),
        instance=text("Instance"),
    )


def _accounts(settings: ProviderSettings) -> str:
    """The part of the configuration that fills the tables."""
    tables = {"password": settings.accounts, "number": settings.numbers}
    lines = [
        f'    $sht({table}=>{_plain(key)}) = "{_plain(value)}";'
        for table, entries in tables.items()
        for key, value in entries.items()
    ]
    return "\n".join(["event_route[htable:mod-init] {", *lines, "    return;", "}", ""])


def _plain(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise ValueError("an account's or number's text must be plain letters and digits to stand in a configuration")
    return text
