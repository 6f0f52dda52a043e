"""Whose dialog a Replaces names (RFC 3891 §3): an answered one, that of a caller who waits, or one of who is being called.

`calls.transfers` asks for a REFER with Replaces, `calls.replacing` for an INVITE with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trunkline.calls.environment import Environment
from trunkline.calls.link import Stage
from trunkline.sip.refer import Replaces

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel
    from trunkline.calls.course import Course

__all__ = ["find_answered", "find_called", "find_waiting"]

Found = tuple["Course", "Channel"]


def find_answered(env: Environment, replaces: Replaces) -> Found | None:
    """The answered channel whose dialog is named, and its course."""
    key = _key(replaces)
    for course, channel in _channels(env):
        if channel.invite is not None and channel.stage is Stage.UP and channel.invite.dialog.key == key:
            return course, channel
    return None


def find_waiting(env: Environment, replaces: Replaces) -> Found | None:
    """The channel of the caller who waits for an answer in that dialog, and its course."""
    key = _key(replaces)
    for course, channel in _channels(env):
        if channel.incoming is not None and channel.incoming.dialog.key == key:
            return course, channel
    return None


def find_called(env: Environment, replaces: Replaces) -> Found | None:
    """The channel that is being placed, of which somebody who is called has that early dialog; and its course."""
    key = _key(replaces)
    for course, channel in _channels(env):
        if channel.outgoing is not None and channel.outgoing.has_early(key):
            return course, channel
    return None


def _key(replaces: Replaces) -> tuple[str, str, str]:
    return replaces.call_id, replaces.to_tag, replaces.from_tag


def _channels(env: Environment) -> Iterator[Found]:
    for call in env.sessions():
        for channel in (*call.course.channels, *call.course.transfers.newcomers):
            yield call.course, channel
