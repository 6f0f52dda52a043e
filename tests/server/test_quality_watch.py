"""Whose threshold counts: the user's or line's own, else the server's; kept by the store, and only what a MOS can be."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline import ConfigurationError, SipServer
from trunkline.server.config import LineOptions, ServerSettings, UserOptions
from trunkline.server.line_settings import LineSettings
from trunkline.server.users import User

LINE = {"username": "1555", "server": "sip.itsp.example", "password": "p"}


@pytest.mark.parametrize(
    ("own", "expected"), [({}, 3.5), ({"quality_alarm_mos": 0}, 0.0), ({"quality_alarm_mos": 4}, 4.0)]
)
def test_the_threshold_is_the_servers_unless_a_user_or_line_has_its_own(own: dict[str, Any], expected: float) -> None:
    server = ServerSettings(realm="pbx.example", quality_alarm_mos=3.5)
    user = UserOptions(**{"password": "p", **own}).user("bob", server)
    line = LineSettings(name="itsp", **LineOptions(**LINE, **own).values("itsp", server))
    assert (user.party().quality_alarm_mos, line.quality_alarm_mos) == (expected, expected)
    assert User.of_record(user.record()).quality_alarm_mos == expected
    assert LineSettings.of_record(line.record()).quality_alarm_mos == expected


@pytest.mark.parametrize("value", [-1, 4.1, "bad"])
def test_what_is_no_mos_to_fall_below_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="quality_alarm_mos"):
        SipServer(realm="pbx.example", quality_alarm_mos=value)
