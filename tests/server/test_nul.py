"""A NUL in a head outside of a quoted pair: what is copied from it into an answer or a later request could not be sent."""

from __future__ import annotations

import asyncio
import socket

import pytest

from trunkline.server.server import SipServer


def options(port: int, header: str) -> bytes:
    lines = [
        "OPTIONS sip:pbx.example SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1",
        "From: <sip:x@pbx.example>;tag=f",
        "To: <sip:pbx.example>",
        "Call-ID: c",
        "CSeq: 1 OPTIONS",
        header,
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize(
    "header",
    [
        "Require: a\0b",
        'Record-Route: "a\\\\\0b" <sip:192.0.2.1;lr>',
        'Path: "a\0b" <sip:192.0.2.1;lr>',
        "Subject: a\r\n \0",
    ],
)
def test_a_request_with_nul_in_its_head_is_answered_400(header: str) -> None:
    async def main() -> str:
        async with SipServer(realm="pbx.example", listen=["udp://127.0.0.1:0"]) as server:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.bind(("127.0.0.1", 0))
                peer.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_sendto(peer, options(peer.getsockname()[1], header), server.local_address())
                async with asyncio.timeout(5):
                    return (await loop.sock_recv(peer, 65_535)).decode()

    assert asyncio.run(main()).startswith("SIP/2.0 400 ")
