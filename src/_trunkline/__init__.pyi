"""The typed face of the Rust half of trunkline. Checked against the extension by stubtest.

Everything here is bytes and packets: parsing and building SIP and SDP, transactions, sockets, digest arithmetic, RTP. What to do about a
call is decided in `trunkline`. Only `trunkline.sip.endpoint`, `trunkline.media.engine` and `trunkline.testing` import this module, besides
the re-exports of value types in `trunkline.sip`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, final

from typing_extensions import Buffer, disjoint_base

__version__: str

Address = tuple[str, int]
"""An IP address in text (IPv6 without brackets) and a port."""

# --- values: URIs, addresses, messages ------------------------------------------------------------------------------------------------

class SipParseError(ValueError):
    """Text or bytes that are no SIP. `status` is what to answer (400, 413, 414, 416, 505, 513), or 0 where nothing is answered."""

    status: int
    reason: str

@final
class Uri:
    """A `sip:`, `sips:` or `tel:` URI, or any other scheme kept as text; frozen. Equality is RFC 3261 §19.1.4 (RFC 3966 §4 for tel)."""

    def __new__(
        cls,
        scheme: str,
        user: str | None,
        host: str,
        port: int | None = None,
        params: Sequence[tuple[str, str | None]] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> Uri: ...
    @staticmethod
    def parse(text: str) -> Uri: ...
    @property
    def scheme(self) -> str: ...  # lower case
    @property
    def user(self) -> str | None: ...  # unescaped; for tel: the number as written
    @property
    def password(self) -> str | None: ...
    @property
    def host(self) -> str: ...  # lower case, IPv6 without brackets; "" for tel and unknown schemes
    @property
    def port(self) -> int | None: ...
    @property
    def params(self) -> tuple[tuple[str, str | None], ...]: ...
    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...
    def param(self, name: str) -> str | None: ...  # "" for a parameter without value, None when absent
    def replace(
        self,
        *,
        user: str | None = ...,
        host: str | None = ...,
        port: int | None = ...,
        params: Sequence[tuple[str, str | None]] | None = ...,
        headers: Sequence[tuple[str, str]] | None = ...,
    ) -> Uri: ...  # arguments left out keep what stands; None clears user and port
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class NameAddr:
    """A display name, a URI and header parameters, as in From, To, Contact, Route; frozen. `str()` quotes and escapes as needed."""

    def __new__(
        cls, uri: Uri, display_name: str | None = None, params: Sequence[tuple[str, str | None]] = ()
    ) -> NameAddr: ...
    @staticmethod
    def parse(text: str) -> NameAddr: ...
    @property
    def display_name(self) -> str | None: ...
    @property
    def uri(self) -> Uri: ...
    @property
    def params(self) -> tuple[tuple[str, str | None], ...]: ...
    @property
    def tag(self) -> str | None: ...
    def param(self, name: str) -> str | None: ...

@final
class Parameterized:
    """A token with parameters, as Event and Subscription-State have it (RFC 6665 §8.4); frozen. `str()` writes it."""

    @staticmethod
    def parse(text: str) -> Parameterized: ...
    @property
    def token(self) -> str: ...  # as written
    @property
    def params(self) -> tuple[tuple[str, str | None], ...]: ...
    def param(self, name: str) -> str | None: ...  # "" for a parameter without value, None when absent

@final
class Reason:
    """One value of Reason; frozen (RFC 3326)."""

    protocol: str  # as written: "SIP", "Q.850", …
    cause: int | None  # the status or cause value; None where there is none of at most 16 bits
    text: str | None  # without quotes

@final
class Replaces:
    """The dialog whose place an INVITE takes, as seen from whom the INVITE is sent to; frozen (RFC 3891). `str()` writes it."""

    def __new__(cls, call_id: str, to_tag: str, from_tag: str, early_only: bool = False) -> Replaces: ...
    @staticmethod
    def parse(text: str) -> Replaces: ...
    @property
    def call_id(self) -> str: ...
    @property
    def to_tag(self) -> str: ...
    @property
    def from_tag(self) -> str: ...
    @property
    def early_only(self) -> bool: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def read_number(text: str) -> int | None:
    """A number of decimal digits alone, as the seconds of Expires; beyond 32 bits the largest (RFC 3261 §20.19). None for anything else."""

def read_q(text: str) -> float | None:
    """A preference between 0 and 1 with three decimals (RFC 3261 §25.1: qvalue). None for anything else."""

def read_date(text: str) -> int | None:
    """Seconds since 1970 of a Date (RFC 3261 §20.17), which is in GMT and in one form. None for anything else."""

def read_sipfrag(body: bytes) -> tuple[int, str] | None:
    """Status and reason phrase of the response that a message/sipfrag begins with (RFC 3420). None where it begins with none."""

@final
class Via:
    """One Via value; frozen (RFC 3261 §20.42, RFC 3581)."""

    @staticmethod
    def parse(text: str) -> Via: ...
    @property
    def transport(self) -> str: ...  # lower case: "udp", "tcp", …
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def branch(self) -> str | None: ...
    @property
    def received(self) -> str | None: ...
    @property
    def rport(self) -> int | None: ...
    def param(self, name: str) -> str | None: ...

@final
class BodyPart:
    """One part of a message's body; frozen (RFC 5621)."""

    content_type: str  # lower case, without parameters; where none is given "", in a multipart text/plain
    disposition: str  # lower case: "session", "render", "signal", …; "" where the sender does not say
    required: bool  # must be understood or the request gets 415: no handling=optional, and no choice among alternatives
    content_id: str  # without angle brackets; "" where absent
    encoded: bool  # has a Content-Transfer-Encoding or Content-Encoding; `body` is as it came
    body: bytes

@final
class Message:
    """A received or built SIP message: its bytes and an index, frozen. A header becomes a Python object when it is read.

    Header names match without case, long or compact. `header` gives the first value line, unfolded; `values` splits a list header at its
    commas over all its lines. The typed readers raise `SipParseError` when the field is malformed; `from_`, `to`, `call_id`, `cseq` never
    do on a message that came up as an event, for the endpoint has checked them.
    """

    @staticmethod
    def parse(data: bytes) -> Message: ...
    @property
    def is_request(self) -> bool: ...
    @property
    def method(self) -> str: ...  # of a response: the CSeq method
    @property
    def uri_text(self) -> str: ...  # Request-URI as written; "" for a response
    @property
    def uri(self) -> Uri: ...  # parsed Request-URI; SipParseError on a response or where malformed
    @property
    def status(self) -> int: ...  # 0 for a request
    @property
    def reason(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def content_type(self) -> str | None: ...  # "application/sdp": lower case, without parameters
    @property
    def parts(self) -> list[BodyPart]: ...
    """One for a plain body, the leaves of a multipart one in order (32 at most, 4 levels deep), none for an empty one. SipParseError (400)
    where a multipart is malformed."""
    @property
    def sdp(self) -> bytes: ...
    """The session description: the body, or its first part, that is application/sdp for the session and not encoded; b"" without one.
    A body of a sender who gives no Content-Type counts as one."""
    @property
    def raw(self) -> bytes: ...
    @property
    def call_id(self) -> str: ...
    @property
    def cseq(self) -> int: ...
    @property
    def from_(self) -> NameAddr: ...
    @property
    def to(self) -> NameAddr: ...
    @property
    def from_tag(self) -> str: ...  # "" where absent
    @property
    def to_tag(self) -> str: ...  # "" where absent
    @property
    def rseq(self) -> int | None: ...  # of a provisional that requires 100rel and is to be acknowledged (RFC 3262 §4)
    @property
    def via(self) -> Via: ...  # the topmost
    @property
    def contacts(self) -> list[NameAddr]: ...  # a `*` Contact gives NameAddr(Uri("*", …)); see star_contact
    @property
    def star_contact(self) -> bool: ...  # Contact: * (RFC 3261 §10.2.2)
    def header(self, name: str) -> str | None: ...
    def lines(self, name: str) -> list[str]: ...  # each header line of that name, unfolded
    def values(self, name: str) -> list[str]: ...  # split at top-level commas
    def tokens(
        self, name: str
    ) -> list[str]: ...  # the same without their parameters, in lower case: media types of Accept
    @property
    def privacy(self) -> list[str]: ...  # what Privacy asks for, in lower case (RFC 3323 §4.2)
    @property
    def reasons(self) -> list[Reason]: ...  # without those that cannot be read
    @property
    def retry_after_s(self) -> int | None: ...  # Retry-After without its comment and parameters (RFC 3261 §20.33)
    def integer(
        self, name: str
    ) -> int | None: ...  # a header that is one decimal number, as Expires; None when absent, SipParseError when bad
    def headers(self) -> list[tuple[str, str]]: ...  # all, in order, names as written

# --- digest (RFC 7616, RFC 3261 §22) ---------------------------------------------------------------------------------------------------

@final
class Challenge:
    """One parsed WWW-Authenticate or Proxy-Authenticate value of scheme Digest; frozen."""

    @staticmethod
    def parse(text: str) -> Challenge: ...  # SipParseError when not Digest
    @property
    def realm(self) -> str: ...
    @property
    def nonce(self) -> str: ...
    @property
    def algorithm(self) -> str: ...  # "MD5", "SHA-256", or as written when unknown
    @property
    def qop(self) -> tuple[str, ...]: ...
    @property
    def stale(self) -> bool: ...
    @property
    def opaque(self) -> str | None: ...
    @property
    def supported(self) -> bool: ...  # an algorithm and a qop that this library can answer
    def authorize(
        self,
        *,
        username: str,
        password: str | None,
        ha1: str | None = None,
        method: str,
        uri: str,
        cnonce: str,
        nonce_count: int = 1,
    ) -> str: ...
    """The value of the Authorization or Proxy-Authorization header that answers this challenge. ValueError when not supported."""

@final
class Credentials:
    """One parsed Authorization or Proxy-Authorization value of scheme Digest; frozen. Its repr shows no digest."""

    @staticmethod
    def parse(text: str) -> Credentials: ...
    @property
    def username(self) -> str: ...
    @property
    def realm(self) -> str: ...
    @property
    def nonce(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def qop(self) -> str | None: ...
    @property
    def nonce_count(self) -> int | None: ...
    def verify(self, ha1: str, method: str) -> bool: ...  # constant time; `ha1` in hex, of this algorithm

def digest_ha1(username: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """H(username:realm:password) in hex, for algorithm "MD5" or "SHA-256" (RFC 7616 §3.4.2)."""

# --- session descriptions (RFC 8866, RFC 3264) -----------------------------------------------------------------------------------------

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

@final
class Codec:
    """A codec as SDP names it; frozen. Equality ignores the payload type and the case of the name."""

    def __new__(
        cls, name: str, clock_rate: int, channels: int = 1, payload_type: int | None = None, fmtp: str | None = None
    ) -> Codec: ...
    @property
    def name(self) -> str: ...  # as written: "PCMU", "telephone-event"
    @property
    def clock_rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def payload_type(self) -> int | None: ...
    @property
    def fmtp(self) -> str | None: ...

@final
class Fax:
    """T.38 over UDPTL that one side describes in place of its audio; frozen (ITU-T T.38 Annex D, RFC 3362)."""

    @property
    def remote(self) -> Address | None: ...  # where to send; None for 0.0.0.0
    @property
    def attributes(
        self,
    ) -> tuple[tuple[str, str | None], ...]: ...  # "T38FaxVersion" and its kin, a closed list, to give to the other leg

@final
class MediaPlan:
    """What one leg's audio does after an offer and its answer; frozen. Seen from us."""

    @property
    def remote_rtp(self) -> Address | None: ...  # where to send; None for port 0 or 0.0.0.0
    @property
    def remote_rtcp(self) -> Address | None: ...
    @property
    def direction(self) -> Direction: ...  # ours: "sendonly" means that we send and they don't
    @property
    def send_codecs(self) -> tuple[Codec, ...]: ...  # agreed, in order; payload types that we write
    @property
    def receive_codecs(self) -> tuple[Codec, ...]: ...  # the same codecs with the payload types that they write
    @property
    def ptime_ms(self) -> int | None: ...
    @property
    def held(self) -> bool: ...  # they neither want to hear us nor send: sendonly/inactive from them, or c=0.0.0.0
    @property
    def fax(self) -> Fax | None: ...  # T.38 in place of audio: no codecs, no remote_rtp; configure the leg with `udptl`
    @property
    def keys(self) -> SrtpKeys | None: ...  # SRTP with these; None for plain RTP
    @property
    def rtcp_mux(
        self,
    ) -> bool: ...  # RTCP shares the RTP ports (RFC 5761); `remote_rtcp` is `remote_rtp` then, which is all a leg needs

class NegotiationError(ValueError):
    """An offer or answer that cannot be agreed. `reason` says why in words, for a Warning header with 488 (RFC 3261 §21.4.26)."""

    reason: str

def read_capabilities(body: bytes) -> list[Codec]:
    """The codecs of all audio lines over RTP, each once, of a description that describes no session: port 0, an address or none.

    So it stands in answers to OPTIONS and in 488 (RFC 3264 §9). SipParseError where it is no description.
    """

@final
class SrtpKeys:
    """The master keys of a leg, for `MediaEngine.configure`; frozen. Nothing shows them: no attribute, no repr."""

    @property
    def suite(self) -> str: ...  # as SDES names it: "AES_CM_128_HMAC_SHA1_80"
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class SessionDescriber:
    """One leg's offer/answer state (RFC 3264): own o= identity and version, own payload types. Not shared between legs.

    Audio is negotiated; every other media line is answered with port 0, in order. An offer or answer equal to the one that stands keeps its
    o= version. A failed call changes nothing.

    `srtp` is "never", "offered" or "required" (SDES, RFC 4568); without `keys_may_cross` (signalling in the clear) no key is offered or
    taken: "offered" is as "never" then, and "required" raises NegotiationError. `suites` are those to use, in order of preference; all
    unless given. Keys are made inside. Ours stays as long as theirs does; a fresh one of theirs is answered with a fresh one.
    """

    def __new__(
        cls,
        *,
        session_id: int,
        session_name: str = "-",
        username: str = "-",
        srtp: str = "never",
        keys_may_cross: bool = False,
        suites: Sequence[str] | None = None,
    ) -> SessionDescriber: ...
    def renew_keys(self) -> None: ...
    """Have the next offer bring new keys."""
    def offer(
        self,
        *,
        address: str,
        port: int,
        codecs: Sequence[Codec],
        direction: Direction = "sendrecv",
        ptime_ms: int | None = None,
        rtcp_mux: bool = False,
    ) -> bytes: ...
    """Our offer. Codecs without payload type get their static or a free dynamic one, stable over the session. It stands as pending until
    `accept_answer` or `withdraw`. RuntimeError while one is pending. `rtcp_mux` offers one port for RTP and RTCP (RFC 5761 §5.1.1)."""
    def accept_answer(self, body: bytes) -> MediaPlan: ...
    def withdraw(self) -> None: ...
    """Forget the pending offer (the re-INVITE failed): what stood before stands (RFC 3261 §14.1)."""
    def read_offer(self, body: bytes, *, fax: bool = False) -> RemoteOffer: ...
    """Parse and check their offer, changing nothing that stands. SipParseError or NegotiationError.

    `fax`: an offer of T.38 without audio is welcome too; `RemoteOffer.fax` says that it is one, `answer_fax` answers it."""
    def offer_fax(self, *, address: str, port: int, attributes: Sequence[tuple[str, str | None]]) -> bytes: ...
    """Our offer of T.38 in the place of the audio, with the attributes of the other leg's `Fax`; pending as any offer. A further
    `offer` brings audio back. `accept_answer` raises NegotiationError where they refuse it: `withdraw` then, and audio stands."""
    def answer_fax(
        self, offer: RemoteOffer, *, address: str, port: int, attributes: Sequence[tuple[str, str | None]]
    ) -> tuple[bytes, MediaPlan]: ...
    """Our answer to an offer of T.38, with the attributes that the other leg answered."""
    def answer(
        self,
        offer: RemoteOffer,
        *,
        address: str,
        port: int,
        codecs: Sequence[Codec],
        direction: Direction = "sendrecv",
        ptime_ms: int | None = None,
        rtcp_mux: bool = True,
    ) -> tuple[bytes, MediaPlan]: ...
    """Our answer out of what we can (`codecs`, in our preference; theirs decides the order) and in which direction we are willing.
    `rtcp_mux` agrees to one port for RTP and RTCP where they offer it."""
    @property
    def local(self) -> bytes | None: ...  # our description that stands
    @property
    def plan(self) -> MediaPlan | None: ...  # what stands
    @property
    def offer_pending(self) -> bool: ...
    def fork(self) -> SessionDescriber:
        """A copy with the pending offer, for another early dialog of the same INVITE (one per To tag)."""

@final
class RemoteOffer:
    """A parsed offer of the other side; frozen."""

    @property
    def codecs(self) -> tuple[Codec, ...]: ...  # of the audio line, in their order, telephone-event included
    @property
    def direction(self) -> Direction: ...  # as they wrote it: what they do
    @property
    def held(self) -> bool: ...
    @property
    def remote_rtp(self) -> Address | None: ...
    @property
    def ptime_ms(self) -> int | None: ...
    @property
    def fax(self) -> Fax | None: ...  # T.38 that they offer in place of audio; then there are no codecs
    @property
    def rtcp_mux(self) -> bool: ...  # they offer to take RTCP on the RTP port
    @property
    def unchanged(self) -> bool: ...  # the same o= line version and text as the last of theirs

# --- presence documents (RFC 3863) -----------------------------------------------------------------------------------------------------

@final
class PresenceTuple:
    """One tuple of a presence document: a way to reach somebody; frozen."""

    @property
    def id(self) -> str: ...
    @property
    def open(self) -> bool | None: ...  # None where it does not say
    @property
    def contact(self) -> str: ...  # unchecked; "" for none
    @property
    def notes(self) -> tuple[str, ...]: ...
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class PresenceDocument:
    """A PIDF document, read within bounds and without entities: status, contacts, notes, the person's activities; frozen."""

    @staticmethod
    def parse(body: bytes) -> PresenceDocument: ...  # SipParseError, in words
    @property
    def entity(self) -> str: ...  # unchecked
    @property
    def tuples(self) -> tuple[PresenceTuple, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def activities(self) -> tuple[str, ...]: ...  # names of RFC 4480: "away", "on-the-phone"
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class MessageCounts:
    """How many messages of one class a mailbox has, as its owner counts them; frozen."""

    @property
    def message_class(self) -> str: ...  # "voice-message", "fax-message", … (RFC 3458 §3.2, RFC 3938)
    @property
    def new(self) -> int: ...
    @property
    def old(self) -> int: ...
    @property
    def urgent_new(self) -> int: ...  # of the new ones; 0 where the sender does not say
    @property
    def urgent_old(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class MailboxSummary:
    """What a body of type application/simple-message-summary says (RFC 3842 §5.2), read within bounds; frozen."""

    @staticmethod
    def parse(body: bytes) -> MailboxSummary: ...  # SipParseError where it does not say whether something waits
    @property
    def waiting(self) -> bool: ...
    @property
    def account(self) -> str: ...  # a URI, unchecked; "" for none
    @property
    def counts(self) -> tuple[MessageCounts, ...]: ...  # each class once; without those whose counts cannot be read
    def of(self, message_class: str) -> MessageCounts | None: ...  # whatever its case
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

# --- the SIP endpoint ------------------------------------------------------------------------------------------------------------------

@final
class Flow:
    """Where a message came from or goes to; frozen, hashable. `connection` is 0 for UDP and for "any connection to there, or a new one".

    `local` is None for "choose a listener of that transport and address family".
    """

    def __new__(cls, transport: str, remote: Address, local: Address | None = None, connection: int = 0) -> Flow: ...
    @property
    def transport(self) -> str: ...  # "udp" or "tcp"
    @property
    def remote(self) -> Address: ...
    @property
    def local(self) -> Address | None: ...
    @property
    def connection(self) -> int: ...

@final
class ServerTransaction:
    """The handle of a request that waits for our answer; frozen. Given back to `respond`."""

    @property
    def id(self) -> int: ...
    @property
    def answered(self) -> bool: ...  # a final response was sent, by us or by Rust (cancelled, BYE answered)

@final
class RequestReceived:
    """A request that passed parsing, §17 matching and the challenge policy. ACK to a 2xx and CANCEL never come this way."""

    tx: ServerTransaction
    message: Message
    flow: Flow
    credentials: Credentials | None
    """The digest credentials whose nonce was ours and fresh; the password is still to be verified with `Credentials.verify`."""
    trusted: bool
    """Let through by a network or Contact token of the challenge policy, unchallenged."""

@final
class ResponseReceived:
    """A response to a request of ours; a 2xx with a new To tag comes as a new one, repeats of a 2xx do not come up. 100 does.

    A reliable provisional (`message.rseq` is a number) comes up once and, in its early dialog, in order: acknowledge each with PRACK and
    `RAck: rseq cseq INVITE` (RFC 3262 §4). What came too early or again is dropped, and repeated by its sender until it is acknowledged.
    """

    tx: int
    message: Message
    flow: Flow

@final
class AckReceived:
    """The ACK to the 2xx that answered `tx`."""

    tx: int
    message: Message

@final
class Cancelled:
    """A CANCEL ended this INVITE: Rust has sent 200 to the CANCEL and 487 to the INVITE. `message` is the CANCEL (its Reason header)."""

    tx: int
    message: Message

@final
class AckTimedOut:
    """Our 2xx was repeated for 64*T1 and never acknowledged (RFC 3261 §13.3.1.4: end the dialog with BYE)."""

    tx: int

@final
class ByeAnswered:
    """Python did not answer an in-order BYE within 400 ms: Rust has sent 200 and stopped the dialog's media leg."""

    tx: int
    message: Message

@final
class PrackReceived:
    """A PRACK acknowledged a reliable provisional of ours: it is repeated no more, and what waited for that went out. Answer `tx`.

    A PRACK that comes again is answered by its transaction, one that acknowledges nothing gets 481; neither comes up (RFC 3262 §3).
    """

    tx: ServerTransaction
    """The PRACK's own transaction."""
    invite: int
    """The id of the INVITE's transaction."""
    message: Message
    flow: Flow

@final
class ReliableTimedOut:
    """A reliable provisional to the INVITE `tx` was repeated for 64*T1 and never acknowledged: refuse the INVITE (RFC 3262 §3: 5xx)."""

    tx: int
    refused: bool
    """A 2xx of ours waited for the PRACK: it was not sent, 504 was."""

@final
class TransactionTimedOut:
    """No final response to a request of ours in time (Timer B or F; for a cancelled INVITE also 64*T1 after the CANCEL).

    A 2xx to an INVITE that comes in the next 64*T1 is told all the same: acknowledge it and end its dialog. Failures are acknowledged here.
    """

    tx: int

@final
class TransportFailed:
    """A request of ours could not be sent: refused, reset, unreachable, no listener. `reason` says it in words."""

    tx: int
    reason: str

@final
class FlowOpened:
    """A connection was accepted or established."""

    flow: Flow

@final
class FlowClosed:
    """A connection is gone. `reason` says why in words."""

    flow: Flow
    reason: str

@final
class Shed:
    """So many new requests were answered 503 since the last such event, because Python was behind; or dropped by the flood guard."""

    overload: int
    flood: int
    malformed: int

@final
class ChallengeIgnored:
    """INVITEs of a stranger were challenged, and nobody there came back with credentials within 4 s.

    Told of one source every 30 s at most, and of 8 sources in that time: a sample, whatever comes in.
    """

    message: Message
    """One of them."""
    flow: Flow
    count: int
    """How many the source (an IPv6 source by its /64) sent since it was told last."""

@final
class Traced:
    """A message as it went over the wire, retransmissions and Rust's own answers included; only while tracing is on."""

    time_s: float
    sent: bool
    flow: Flow
    data: bytes  # SRTP keys starred out (RFC 4568 §9.2); digests are as they are

Event = (
    RequestReceived
    | ResponseReceived
    | AckReceived
    | Cancelled
    | AckTimedOut
    | ByeAnswered
    | PrackReceived
    | ReliableTimedOut
    | TransactionTimedOut
    | TransportFailed
    | FlowOpened
    | FlowClosed
    | Shed
    | ChallengeIgnored
    | Traced
)

ChallengeMode = Literal["everybody", "strangers", "nobody"]

@final
class Listener:
    """An open listening socket; frozen. `port` is the one the system chose where 0 was asked."""

    @property
    def transport(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def id(self) -> int: ...

@disjoint_base
class _EndpointCommands:
    """The commands that the real and the sans-IO endpoint share."""

    @property
    def t1_s(self) -> float: ...  # as it was built with
    def send_request(
        self,
        method: str,
        uri: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        flow: Flow,
        *,
        timeout_s: float | None = None,
        large_over_tcp: bool = True,
    ) -> int:
        """Send a request in a new client transaction and return its id. An empty User-Agent among `headers` means that it has none.

        `headers` hold From, To, Call-ID, CSeq and all else; Via, Content-Length, Max-Forwards (70 where absent), User-Agent (where absent)
        are added. `timeout_s` replaces 64*T1 as Timer B or F. Failure to send comes as `TransportFailed`.

        `large_over_tcp`: a request over UDP that is longer than 1300 bytes goes over TCP (RFC 3261 §18.1.1), if there is a TCP listener to
        name in its Via; its CANCEL and the ACK to a failure follow it. Where TCP is refused, fails before a response, or takes more than
        4 s to connect, the request goes over UDP after all, and so do the large ones to that address in the next 15 minutes. Contact stays
        as given, and responses bear the UDP flow that was asked for: the dialog stays there. False for a peer that can be reached over the
        given flow alone (behind NAT), or that is known to have no TCP.
        """
    def cancel(self, tx: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send CANCEL for an INVITE of ours, held until a provisional arrives (RFC 3261 §9.1); no effect after the final response."""
    def respond(
        self,
        tx: ServerTransaction,
        status: int,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        to_tag: str | None = None,
        reliable: bool = False,
    ) -> bool:
        """Answer a request. True when it goes out; False ("gone") when it was answered already: cancelled, or a BYE answered by Rust.

        Via, From, To, Call-ID, CSeq and Record-Route are copied from the request, `to_tag` is added to To where it has none (for a final or
        dialog-making answer without one, a tag is minted). A 2xx to INVITE is repeated until its ACK. ValueError for a
        header name or value with CR, LF or NUL.

        `reliable=True` sends a provisional (101 to 199, else ValueError) by RFC 3262 where the INVITE offers or requires 100rel, as an
        ordinary one elsewhere: Require and RSeq are added, it is repeated until its PRACK (`PrackReceived`) or for 64*T1
        (`ReliableTimedOut`). While one is unacknowledged, further reliable ones wait for their turn and ordinary ones wait behind those
        (16 at most; more are dropped). A 2xx waits until each that has a body is acknowledged; True then means that it is accepted, and
        `Cancelled` or `ReliableTimedOut(refused=True)` may still come in its place. Other final answers go at once.
        """
    def challenge(self, tx: ServerTransaction, *, stale: bool = False) -> bool:
        """Answer 401 with a fresh nonce bound to the request's source (for requests that policy let up unchallenged)."""
    def send_ack(
        self, tx: int, to_tag: str, uri: str, headers: Sequence[tuple[str, str]], body: bytes, flow: Flow
    ) -> None:
        """Send the ACK to a 2xx of our INVITE `tx` from the dialog with that remote tag; kept, and replayed to each repeat of that 2xx."""
    def add_dialog(self, call_id: str, local_tag: str, remote_tag: str, *, remote_cseq: int = 0, leg: int = 0) -> None:
        """Make a dialog known: its requests come up, unknown ones get 481. `leg` is the media leg to stop when Rust must answer its BYE.

        With "" as `remote_tag` any NOTIFY to `local_tag` comes up, as it may make the dialog (RFC 6665 §4.4.1).
        """
    def remove_dialog(self, call_id: str, local_tag: str, remote_tag: str) -> None: ...
    def close_flow(self, connection: int) -> None: ...
    def keep_alive(self, flow: Flow, interval_s: float) -> None:
        """Send CRLF keep-alives over this flow every `interval_s` seconds; 0 stops it."""
    def mint_tag(self) -> str: ...
    def mint_call_id(self) -> str: ...
    def mint_token(self) -> str:
        """A Contact user part or parameter: node and worker id, then 64 random bits."""
    def set_challenge(
        self,
        realm: str,
        modes: Mapping[str, ChallengeMode],
        trusted_networks: Sequence[str],
        trusted_tokens: Sequence[str],
        *,
        algorithm: str = "MD5",
        nonce_lifetime_s: float = 300.0,
    ) -> None:
        """Whom Rust challenges, per method; "*" is every method not named. Requests inside a known dialog are never challenged.

        "strangers" lets pass requests from `trusted_networks` (CIDR) and requests whose Request-URI has a trusted token as user part or as
        value of its `tl` parameter. Until it is called nobody is challenged.
        """
    def set_overloaded(self, overloaded: bool) -> None:
        """Shed new INVITEs and new registrations with 503 and Retry-After, as when the event queue is full (used at drain)."""
    def set_trace(self, enabled: bool) -> None: ...

@final
class SipEndpoint(_EndpointCommands):
    """The real endpoint: one thread, its sockets, its clock. Events wait until `drain`; `fileno` is readable while any wait."""

    def __new__(
        cls,
        *,
        node: int = 0,
        worker: int = 0,
        user_agent: str | None = None,
        t1_s: float = 0.5,
        event_queue: int = 8192,
        max_message_bytes: int = 65_535,
        flood_rate: float = 500.0,
        flood_burst: float = 2_000.0,
        flood_exempt: Sequence[str] = (),
        max_connections: int = 4_096,
        advertise: Mapping[str, str] | None = None,
    ) -> SipEndpoint: ...
    def listen(self, transport: str, host: str, port: int) -> Listener:
        """Open a listener ("udp" or "tcp"); OSError as the system gives it."""
    def close_listener(self, listener: Listener) -> None: ...
    def set_flood_exempt(self, networks: Sequence[str]) -> None: ...
    def fileno(self) -> int: ...
    def drain(self, limit: int = 512) -> list[Event]: ...
    def hold(self) -> None:
        """Let commands wait until `release`: several of them cost one wake-up of the thread. What returns an answer is done at once."""
    def release(self) -> None:
        """Have what waits done now, and what follows at once again."""
    def counters(self) -> dict[str, int]:
        """Totals and live counts.

        The totals are received, sent, retransmitted, malformed, flood_dropped, shed, challenged (INVITEs of strangers); what is live are
        client_transactions, server_transactions, dialogs, connections, timers, nonces (used ones, remembered until they expire).
        """
    def close(self) -> None:
        """Stop the thread and close every socket; waits for it. Idempotent."""

@final
class SansIoEndpoint(_EndpointCommands):
    """The same state machines with time and packets as arguments, for the virtual network and clock. Listeners are plain addresses."""

    def __new__(
        cls,
        *,
        seed: int,
        node: int = 0,
        worker: int = 0,
        user_agent: str | None = None,
        t1_s: float = 0.5,
        event_queue: int = 8192,
        max_message_bytes: int = 65_535,
        advertise: Mapping[str, str] | None = None,
    ) -> SansIoEndpoint: ...
    def add_listener(self, transport: str, host: str, port: int) -> Listener: ...
    def set_time(self, now_s: float) -> None:
        """Monotonic; every command and packet that follows happens at this time."""
    def receive(self, flow: Flow, data: bytes) -> None:
        """A datagram, or on a connection's flow (connection != 0) the next bytes of its stream."""
    def flow_opened(self, flow: Flow) -> None: ...
    def flow_closed(self, flow: Flow, reason: str) -> None: ...
    def send_failed(self, flow: Flow, reason: str) -> None: ...
    def poll_transmit(self) -> tuple[Flow, bytes] | None: ...
    def next_timeout(self) -> float | None: ...  # absolute, on set_time's clock
    def handle_timeout(self) -> None: ...
    def stopped_legs(self) -> list[int]: ...  # legs that ByeAnswered stopped since the last call
    def closed_connections(
        self,
    ) -> list[int]: ...  # connections to close since the last call: close_flow, or their stream is no SIP
    def drain(self, limit: int = 512) -> list[Event]: ...
    def counters(self) -> dict[str, int]: ...

# --- media -----------------------------------------------------------------------------------------------------------------------------

@final
class LegStatistics:
    """Counts of one leg; a snapshot, frozen. Loss and jitter are RFC 3550's, of what arrived at us."""

    packets_received: int
    bytes_received: int
    packets_sent: int
    bytes_sent: int
    packets_lost: int
    loss_bursts: int  # how often packets in a row were missing
    packets_discarded: int  # too late for the jitter buffer, or thrown away by it
    jitter_ms: float
    buffer_ms: float | None  # how long the jitter buffer holds packets now; None without one
    packets_refused: int  # from a stranger, or of a payload type not agreed
    remote_packets_lost: int | None  # as their RTCP reports it
    remote_jitter_ms: float | None  # the same
    round_trip_ms: float | None
    level_dbm0: float | None  # of the last 20 ms, while the leg is attended to
    latched: Address | None

@final
class Heard:
    """What a leg's tone detector heard since it was last asked; frozen."""

    frequency_hz: float  # the strongest, 0.0 for silence
    level_dbm0: float  # of that frequency, -inf for silence
    purity: float  # share of the signal's power at that frequency, 0 to 1
    duration_s: float  # of audio received in this span
    gaps: int  # packets missing by sequence number in this span
    digits: str  # RFC 4733 events that ended in this span

@final
class LegSilent:
    """Nothing acceptable arrived on a leg for its silence timeout while its peer was to send."""

    def __new__(cls, leg: int) -> LegSilent: ...
    leg: int

@final
class LegLatched:
    """The leg found where its peer sends from; or found it moved (NAT rebinding)."""

    leg: int
    remote: Address

@final
class LegFailed:
    """A leg was closed because its code panicked or its socket failed."""

    leg: int
    reason: str

@final
class LegForeign:
    """A frame of the linked leg could not be relayed: this leg's peer did not agree to its codec. Once a media plan of this leg."""

    def __new__(cls, leg: int) -> LegForeign: ...
    leg: int

def can_transcode(codec: Codec) -> bool:
    """Whether audio in this codec can be decoded and encoded here: G.711, L16, and what else the build knows."""

@final
class SourceEnded:
    """A `PcmSource` is played no more."""

    def __new__(cls, source: int, complete: bool) -> SourceEnded: ...
    source: int  # its number
    complete: bool  # all was played; False when it was ended, or what it was played to

@final
class SoundChanged:
    """What a leg that is attended to hears is of another kind now."""

    def __new__(
        cls,
        leg: int,
        sound: Literal["silence", "voice", "tone", "noise"],
        age_s: float,
        frequency_hz: float,
        ended_dbm0: float,
    ) -> SoundChanged: ...
    leg: int
    sound: Literal["silence", "voice", "tone", "noise"]  # what began
    age_s: float  # how long before this it began
    frequency_hz: float  # of a tone, 0 for all else
    ended_dbm0: float  # the mean level of what ended, -inf where it had none

@final
class FramesArrived:
    """Sinks that wake have new frames: one event for all of them, however many."""

    def __new__(cls) -> FramesArrived: ...

MediaEvent = LegSilent | LegLatched | LegFailed | LegForeign | SourceEnded | SoundChanged | FramesArrived

@final
class PcmSource:
    """What is played to a leg or to everybody in a room: mono int16 samples, in a bounded ring that a worker empties, 20 ms at a time.

    Out of samples it is silent and counts `underruns`. Let go of unfinished, it ends when what waits is played.
    """

    @property
    def number(self) -> int: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def room(self) -> int: ...  # samples that may be written now
    @property
    def played(self) -> int: ...  # samples played or cleared
    @property
    def underruns(self) -> int: ...  # frames of silence because nothing was written in time, after the first sample
    @property
    def is_open(self) -> bool: ...  # somebody still plays it
    def write(self, data: Buffer) -> int:
        """Play these after what waits: int16 samples, or bytes of them in the machine's order. How many samples there was room for."""
    def finish(self) -> None:
        """Nothing more will be written; `SourceEnded` tells when all is played."""
    def clear(self) -> None:
        """Forget what waits."""
    def pause(self, paused: bool) -> None:
        """Be silent and keep what waits, or go on."""
    def set_gain(self, gain: float) -> None:
        """Multiply what is played from now on, by 0 to 16."""

@final
class PcmSink:
    """What is taken from a leg or a room: mono int16 samples, 20 ms each tick, in a bounded ring. Who does not read loses frames."""

    @property
    def number(self) -> int: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def waiting(self) -> int: ...  # samples
    @property
    def lost(self) -> int: ...  # frames that found no room
    @property
    def first_tick(
        self,
    ) -> int | None: ...  # the 20 ms of the engine's clock at which it began, the same clock for all sinks
    @property
    def is_open(self) -> bool: ...  # somebody still fills it
    def read(self, samples: int) -> bytearray:
        """Take up to so many samples, as int16 in the machine's order."""

@final
class LegEnd:
    """What is left of a leg that `MediaEngine.end_leg` closes."""

    def statistics(self) -> LegStatistics | None:
        """The last counts; waits for the worker where they are not there yet. None for an unknown leg, or one that failed."""

@final
class MediaEngine:
    """The media workers: threads with an epoll each, RTP sockets from a port range. Commands to unknown legs do nothing."""

    def __new__(
        cls, *, workers: int = 0, port_range: tuple[int, int] = (16384, 32767), event_queue: int = 8192
    ) -> MediaEngine: ...
    def fileno(self) -> int: ...
    def drain(self, limit: int = 512) -> list[MediaEvent]: ...
    def hold(self) -> None:
        """Let commands wait until `release`: several of them cost one wake-up of a worker. What returns an answer is done at once."""
    def release(self) -> None:
        """Have what waits done now, and what follows at once again."""
    def open_leg(self, address: str, *, beside: int = 0) -> tuple[int, int]:
        """Bind an even RTP port and the RTCP port above it on `address`; returns (leg, port).

        `beside` places it on that leg's worker. OSError when the range is used up.
        """
    def configure(
        self,
        leg: int,
        *,
        remote_rtp: Address | None,
        remote_rtcp: Address | None,
        sends: bool,
        receives: bool,
        receive_codecs: Sequence[Codec],
        send_codecs: Sequence[Codec],
        learn_from: str | None = None,
        silence_timeout_s: float = 0.0,
        udptl: bool = False,
        keys: SrtpKeys | None = None,
        ptime_ms: int = 0,
    ) -> None:
        """Apply a media plan. `sends`: we may send to them; `receives`: they are to send to us (the silence timer runs only then).

        Only packets from exactly `remote_rtp` are heard, unless `learn_from` names the IP address (their signalling source, for a peer
        behind NAT) from which one source may be learned. A packet from exactly `remote_rtp` always wins. The same address again keeps
        what was latched.

        `keys`: SRTP and SRTCP both ways (RFC 3711); only an authentic packet is heard, latched on or counted as received. The same keys
        again go on with their indices; others begin anew, and the ones before are heard until those have settled.

        `udptl`: the RTP port carries T.38 over UDPTL; give the address of `MediaPlan.fax` as `remote_rtp` and no codecs. Datagrams up
        to 1400 bytes pass as they are to a linked leg that is in the same mode, latched and counted as RTP is; there is no RTCP.

        `ptime_ms`: how long the audio in a packet of ours lasts, 10 to 120 ms in tens; 0 for 20.
        """
    def link(self, a: int, b: int, *, transcode: bool = False) -> None:
        """Relay between two legs, both ways, mapping payload types by codec; RTCP is relayed under our own CNAME.

        `transcode`: decode each side's audio and encode it for the other in its first send codec; only telephone events are relayed.
        The same legs linked again change between the two; each peer goes on to see one stream.
        """
    def open_room(self, *, beside: int = 0) -> int:
        """A room, on the worker of a leg or a room. Each leg in it hears the sum of all others, at the highest rate of those who speak."""
    def close_room(self, room: int) -> None: ...
    def join_room(self, room: int, leg: int, *, gain: float = 1.0, muted: bool = False, deaf: bool = False) -> None:
        """Bring a leg into a room, out of any other and out of its link; in the room already, change how it takes part.

        `gain` multiplies its voice, 0 to 16; `muted`: nobody hears it; `deaf`: it hears nobody. OSError for an unknown room or leg.
        """
    def leave_room(self, leg: int) -> None: ...
    def open_source(self, target: int, sample_rate: int, *, frames: int = 100, exclusive: bool = False) -> PcmSource:
        """Something to be played to a leg's peer or to everybody in a room, at 8000, 16000, 24000, 32000 or 48000 Hz.

        `frames` of 20 ms may wait, up to 3000. While a leg has sources nothing is relayed to its peer, but what its room says is mixed
        in; with `exclusive` even that is not heard while there are samples. OSError for an unknown target.
        """
    def open_sink(
        self,
        target: int,
        sample_rate: int,
        *,
        side: Literal["heard", "said"] = "heard",
        frames: int = 100,
        wakes: bool = False,
    ) -> PcmSink:
        """What a leg's peer says, or is said to it by us (`side`); of a room what all say together. Relayed audio is heard and goes on.

        `frames` of 20 ms wait for the reader, up to 3000; with `wakes` there is a `FramesArrived` for each tick. OSError for an unknown
        target.
        """
    def end_stream(self, target: int, stream: int) -> None:
        """End a source or a sink, by its number."""
    def unlink(self, leg: int) -> None: ...
    def play_tone(self, leg: int, frequency_hz: float, level_dbm0: float = -10.0) -> None:
        """Send a tone in the leg's first G.711 send codec, 20 ms a packet, until `stop_tone`. 0 Hz is silence, still sent."""
    def stop_tone(self, leg: int) -> None: ...
    def send_digits(self, leg: int, digits: str, duration_ms: int = 100) -> None:
        """RFC 4733 events in the leg's telephone-event payload type, one after another."""
    def listen(self, leg: int) -> None:
        """Start the leg's tone detector."""
    def attend(self, leg: int, wanted: bool) -> None:
        """Tell by `SoundChanged` what the leg's peer says is made of, from silence on; or no longer. Relayed audio is heard and goes on."""
    def heard(self, leg: int) -> Heard: ...
    def statistics(self, leg: int) -> LegStatistics | None: ...  # None for an unknown leg
    def close_leg(self, leg: int) -> LegStatistics | None:
        """Close a leg and wait for it; its ports are free then. None for an unknown leg."""
    def end_leg(self, leg: int) -> LegEnd:
        """Close a leg without waiting. `open_leg` waits for its ports where no others are free."""
    def counters(self) -> dict[str, int]: ...  # legs, ports_used, workers, rooms, late_ticks, packets
    def close(self) -> None: ...
