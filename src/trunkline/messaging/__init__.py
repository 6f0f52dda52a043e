"""What users tell each other and of each other beside calls: messages, lamps, message waiting, presence.

`message` relays MESSAGE and `mailbox` keeps what waits for a user who is away; `watching` serves SUBSCRIBE for the
packages `dialog_info`, `message_summary` and `presence`. What they need of the server stands in `peers` as protocols.
"""
