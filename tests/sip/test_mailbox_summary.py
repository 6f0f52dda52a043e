"""Message summaries through the extension; how their lines are read is tested in `crates/sip/src/mailbox_summary.rs`."""

from __future__ import annotations

import pytest

from trunkline.sip.endpoint import MailboxSummary, SipParseError


def test_each_class_has_its_counts() -> None:
    summary = MailboxSummary.parse(b"Messages-Waiting: no\r\nvoice-message: 1/2 (3/4)\r\nFax-Message: 5/4294967295\r\n")
    assert not summary.waiting
    assert summary.account == ""
    told = [(each.message_class, each.new, each.old, each.urgent_new, each.urgent_old) for each in summary.counts]
    assert told == [("voice-message", 1, 2, 3, 4), ("fax-message", 5, 4294967295, 0, 0)]
    assert summary.of("Fax-Message") == summary.counts[1]
    assert summary.of("text-message") is None


def test_what_does_not_say_whether_messages_wait_is_refused_in_words() -> None:
    with pytest.raises(SipParseError, match="neither yes nor no"):
        MailboxSummary.parse(b"Voice-Message: 1/2\r\n")


def test_equal_summaries_are_equal() -> None:
    one, other = (MailboxSummary.parse(b"Messages-Waiting: yes\r\nVoice-Message: 1/%d" % old) for old in (2, 3))
    assert one == MailboxSummary.parse(b"messages-waiting:YES\nVOICE-MESSAGE: 1 / 2\n")
    assert one != other
