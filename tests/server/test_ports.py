from __future__ import annotations

import os
import socket

from trunkline.server.ports import holder_of, listen_error, try_to_bind


def test_the_holder_of_a_port_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        holder = holder_of("udp", port)
        assert holder is not None
        assert holder.endswith(f"(pid {os.getpid()})")
        error = try_to_bind("udp", "127.0.0.1", port)
        assert error is not None
        assert f"the port is taken by {holder}" in str(listen_error("udp://…", "udp", port, error))


def test_a_free_port_can_be_bound() -> None:
    assert try_to_bind("tcp", "127.0.0.1", 0) is None


def test_an_address_of_another_machine_is_told_as_such() -> None:
    error = try_to_bind("udp", "192.0.2.1", 5060)
    assert error is not None
    assert "this machine has no such address" in str(listen_error("udp://192.0.2.1:5060", "udp", 5060, error))
