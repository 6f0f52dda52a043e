"""SIP as Python decides it: the asyncio face of the Rust endpoint, dialogs, the INVITE usage, digest answers.

One file a layer of RFC 3261. `endpoint` alone imports the extension; the value types that the other layers use are
re-exported there.
"""
