"""The server: users and their phones, lines and their registrations, who sent a request and where a call goes.

Below the facade: `users`, `auth`, `registrar` with its `bindings`; `line`, `lines`, `line_registration`; `identify`
(who sent this INVITE), `routing` (where a call goes), `addresses` (what we are called), `policy` (whom Rust
challenges). `sip.uas` has checked a request before it gets here.
"""
