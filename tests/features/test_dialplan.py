from __future__ import annotations

import re
from types import SimpleNamespace
from typing import cast

import pytest

from trunkline.calls.session import CallSession
from trunkline.constants import PeerType
from trunkline.features.dialplan import Route


def call(peer: PeerType, name: str, number: str) -> CallSession:
    return cast(CallSession, SimpleNamespace(from_peer_type=peer, from_peer_name=name, dial_number=number))


@pytest.mark.parametrize(
    ("from_", "number", "fits"),
    [
        ("", ".*", True),
        ("users", ".*", True),
        ("lines", ".*", False),
        ("alice", ".*", True),
        ("bob", ".*", False),
        ("users", r"\+1\d+", True),
        ("users", r"\+1", False),
    ],
)
def test_a_route_fits_by_source_and_whole_number(from_: str, number: str, fits: bool) -> None:
    route = Route(to_user="bob", from_=from_, number=re.compile(number))
    assert route.fits(call(PeerType.USER, "alice", "+15550100")) is fits


def test_a_route_goes_to_exactly_one_place() -> None:
    with pytest.raises(ValueError, match="to_user and to_line"):
        Route(to_user="a", to_line="b")
    with pytest.raises(ValueError, match="to_user and to_line"):
        Route()
