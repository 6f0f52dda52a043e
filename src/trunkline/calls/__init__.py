"""Calls as Python decides them: sessions, channels, attempts and the table that ties two channels together.

`peers` says what this package needs from above (where a user is, which line, which address is ours); `server`
implements it.
"""
