"""A DNS of a test's own: a `Zone` of records, asked directly in virtual time, or by a real `NameServer` on loopback.

It can be slow, refuse, lie, cut its answers short and die; `Fault` names how. `SipServer(resolver=zone.resolver())`
resolves lines' servers by it. What the name server sends is built and read by dnspython.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from enum import Enum, auto
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from trunkline.sip.dns_answers import Answer, Kind, NoRecords, ResolutionError
from trunkline.sip.dns_lookup import read_records
from trunkline.sip.resolver import CachingResolver

__all__ = ["Fault", "NameServer", "Zone"]

LOOPBACK = "127.0.0.1"

PORT_ATTEMPTS = 20
"""UDP ports that are tried until one is free on TCP as well."""


class Fault(Enum):
    """How a name server errs."""

    NONE = auto()
    DEAD = auto()
    """It answers nothing."""
    REFUSES = auto()
    FAILS = auto()
    """SERVFAIL."""
    LIES = auto()
    """It answers other questions than were asked, with other ids, and with noise."""
    TRUNCATES = auto()
    """Over UDP it says that the answer is too long; over TCP it gives it."""


class Zone:
    """Names and their records.

    Args:
        records: Name, kind and data of each, as in a zone file: `("_sip._udp.itsp.example", "SRV", "0 5 5060 a.example.")`.
        ttl_s: Of the records that bring none.
        negative_ttl_s: How long "there is none" holds; None leaves the SOA record out.

    Attributes:
        fault: How it errs now.
        delay_s: How late it answers.
        asked: Every question so far.
    """

    def __init__(self, *records: tuple[str, str, str], ttl_s: int = 60, negative_ttl_s: int | None = 30) -> None:
        self.ttl_s = ttl_s
        self.negative_ttl_s = negative_ttl_s
        self.fault = Fault.NONE
        self.delay_s = 0.0
        self.asked: list[tuple[str, str]] = []
        self._records: dict[tuple[str, str], dns.rrset.RRset] = {}
        for name, kind, data in records:
            self.add(name, kind, data)

    def add(self, name: str, kind: str, *data: str, ttl_s: int | None = None) -> None:
        """Add records of one name and kind."""
        new = dns.rrset.from_text(f"{name}.", self.ttl_s if ttl_s is None else ttl_s, "IN", kind, *data)
        known = self._records.setdefault((name.lower(), kind), new)
        for record in new:
            known.add(record)

    def remove(self, name: str, kind: str) -> None:
        """Remove the records of a name and kind."""
        self._records.pop((name.lower(), kind), None)

    def find(self, name: str, kind: str) -> dns.rrset.RRset | None:
        """The records of a name and kind."""
        return self._records.get((name.lower(), kind))

    def __contains__(self, name: str) -> bool:
        return any(known == name.lower() for known, _ in self._records)

    def resolver(self) -> CachingResolver:
        """A resolver that asks this zone, on the clock of the loop that it runs on."""
        return CachingResolver(self, lambda: asyncio.get_running_loop().time())

    async def __call__(self, name: str, kind: Kind) -> Answer[Any]:
        """Answer a question as a name server would; a `Lookup`."""
        self.asked.append((name, kind))
        if self.fault in (Fault.DEAD, Fault.LIES):
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.delay_s)
        if self.fault in (Fault.REFUSES, Fault.FAILS):
            raise ResolutionError(name, "the name servers refuse or fail")
        found = self.find(name, kind)
        if found is None:
            raise NoRecords(name, "no such name" if name not in self else f"no {kind} record", self.negative_ttl_s)
        return Answer(tuple(read_records(kind, found)), float(found.ttl))

    def answer(self, wire: bytes, *, stream: bool) -> list[bytes]:
        """What a name server of this zone sends back.

        Args:
            wire: The query.
            stream: Whether it came over TCP.
        """
        query = dns.message.from_wire(wire)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text(omit_final_dot=True), kind))
        if self.fault is Fault.DEAD:
            return []
        if self.fault is Fault.LIES:
            return self._lies(query)
        reply = dns.message.make_response(query)
        if self.fault in _RCODES:
            reply.set_rcode(_RCODES[self.fault])
        elif self.fault is Fault.TRUNCATES and not stream:
            reply.flags |= dns.flags.TC
        else:
            self._fill(reply, question.name, kind)
        return [reply.to_wire()]

    def _fill(self, reply: dns.message.Message, name: dns.name.Name, kind: str) -> None:
        text = name.to_text(omit_final_dot=True)
        found = self.find(text, kind)
        if found is not None:
            reply.answer.append(found)
            return
        if text not in self:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if self.negative_ttl_s is not None:
            soa = f"ns.example. host.example. 1 60 60 60 {self.negative_ttl_s}"
            reply.authority.append(dns.rrset.from_text("example.", 86_400, "IN", "SOA", soa))

    def _lies(self, query: dns.message.Message) -> list[bytes]:
        forged = dns.message.make_response(query)
        forged.id ^= 0x5555
        forged.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "203.0.113.66"))
        other = dns.message.make_query("other.example.", "A")
        other.id = query.id
        elsewhere = dns.message.make_response(other)
        elsewhere.answer.append(dns.rrset.from_text("other.example.", 60, "IN", "A", "203.0.113.66"))
        return [forged.to_wire(), elsewhere.to_wire(), b"\xff" * 40]


_RCODES = {Fault.REFUSES: dns.rcode.REFUSED, Fault.FAILS: dns.rcode.SERVFAIL}


class NameServer:
    """A name server on loopback, UDP and TCP.

    Args:
        zone: What it knows, and how it errs.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.port = 0
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._late: set[asyncio.TimerHandle] = set()

    async def __aenter__(self) -> NameServer:
        loop = asyncio.get_running_loop()
        for _ in range(PORT_ATTEMPTS):
            udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(LOOPBACK, 0))
            self.port = udp.get_extra_info("sockname")[1]
            self._udp = udp
            with contextlib.suppress(OSError):
                self._tcp = await asyncio.start_server(self._serve, LOOPBACK, self.port)
                return self
            udp.close()
        raise OSError("no port is free on both transports")

    async def __aexit__(self, *exc: object) -> None:
        for timer in self._late:
            timer.cancel()
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
            await self._tcp.wait_closed()
        await asyncio.sleep(0)

    def received(self, wire: bytes, source: tuple[str, int]) -> None:
        """From the socket: answer a datagram, when the zone's delay is over."""
        with contextlib.suppress(dns.exception.DNSException, IndexError):
            answers = self.zone.answer(wire, stream=False)
            timer = asyncio.get_running_loop().call_later(self.zone.delay_s, self._send, answers, source)
            self._late.add(timer)

    def _send(self, answers: list[bytes], source: tuple[str, int]) -> None:
        if self._udp is not None and not self._udp.is_closing():
            for answer in answers:
                self._udp.sendto(answer, source)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            wire = await reader.readexactly(size)
            await asyncio.sleep(self.zone.delay_s)
            for answer in self.zone.answer(wire, stream=True):
                writer.write(struct.pack("!H", len(answer)) + answer)
            await writer.drain()
        writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        self._server.received(data, source)
