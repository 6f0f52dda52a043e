"""The test kit, shipped so that people test their call flows as trunkline tests itself: on the real stack, in real or virtual time.

`Phone` and `Itsp` are scriptable peers, `Zone` and `NameServer` a DNS that errs on demand; `run` and `VirtualNetwork`
replace clock and network. The pytest plugin is `trunkline.testing.plugin`.
"""

from trunkline.testing.call import CallRefused, Ended, ScriptedCall
from trunkline.testing.clock import Deadlock, VirtualLoop, run
from trunkline.testing.dns import Fault, NameServer, Zone
from trunkline.testing.itsp import Account, Itsp
from trunkline.testing.network import Link, Packet, VirtualHost, VirtualNetwork
from trunkline.testing.phone import Phone, RegistrationRefused
from trunkline.testing.watch import RequestRefused, Watch

__all__ = [
    "Account",
    "CallRefused",
    "Deadlock",
    "Ended",
    "Fault",
    "Itsp",
    "Link",
    "NameServer",
    "Packet",
    "Phone",
    "RegistrationRefused",
    "RequestRefused",
    "ScriptedCall",
    "VirtualHost",
    "VirtualLoop",
    "VirtualNetwork",
    "Watch",
    "Zone",
    "run",
]
