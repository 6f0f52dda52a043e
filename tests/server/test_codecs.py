"""Codecs by name: what a list of names offers."""

from __future__ import annotations

import pytest

from trunkline.server.codecs import TELEPHONE_EVENT, codecs_named
from trunkline.sip.endpoint import Codec


def test_names_in_any_case_give_codecs_in_their_order_and_events() -> None:
    named = codecs_named(["OPUS", "g722", "Pcma"])
    assert [codec.name for codec in named[:-1]] == ["opus", "G722", "PCMA"]
    assert named[-1] == TELEPHONE_EVENT


@pytest.mark.parametrize(
    ("name", "rate"), [("l16", 16000), ("L16/8000", 8000), ("l16/24000", 24000), ("l16/32000", 32000)]
)
def test_l16_may_name_its_rate(name: str, rate: int) -> None:
    assert codecs_named([name])[0] == Codec("L16", rate)


def test_repeats_are_asked_for_in_opus() -> None:
    assert codecs_named(["opus"])[0].fmtp == "useinbandfec=1"
