from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TESTS = """
from trunkline.server.server import SipServer
from trunkline.testing import Phone

def scenario(run_virtual, report_on, network):
    host = network.host("10.0.0.1")
    server = report_on(SipServer(realm="pbx.example", listen=["udp://10.0.0.1:5060"], platform=host))
    server.add_user("alice", password="secret")

    async def main():
        place = network.host("10.0.0.2")
        async with server, Phone(
            "alice", "secret", ("10.0.0.1", 5060), realm="pbx.example", platform=place, address="10.0.0.2"
        ) as alice:
            await alice.register()

    run_virtual(main())

def test_passes(run_virtual, report_on, virtual_network):
    scenario(run_virtual, report_on, virtual_network)

def test_fails(run_virtual, report_on, virtual_network):
    scenario(run_virtual, report_on, virtual_network)
    assert "what is expected" == "what is not"

def test_fails_without_a_server():
    assert False
"""


def test_the_report_of_a_failed_test_has_the_ladder_of_its_server(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider", "--no-header")
    result.assert_outcomes(passed=1, failed=2)
    text = result.stdout.str()
    assert text.count("ladder of pbx.example") == 1
    of_the_failed = text.split("_ test_fails _")[1].split("_ test_fails_without_a_server _")[0]
    ladder = of_the_failed.split("ladder of pbx.example")[1]
    for line in ("10.0.0.2:", "REGISTER", "401 Unauthorized", "200 OK", "register_user_success user=alice"):
        assert line in ladder
