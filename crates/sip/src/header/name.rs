//! Header names: the known ones as an enum with their compact forms (RFC 3261 §7.3.3, §20 and the RFCs that added some since).

/// Long name, lower case for matching, compact form in lower case.
struct Row {
    name: Name,
    text: &'static str,
    compact: Option<u8>,
}

macro_rules! names {
    ($($variant:ident $text:literal $lower:literal $($compact:literal)?;)*) => {
        /// A header name that this library knows; everything else is matched as text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = $text] $variant,)*
        }

        const ROWS: &[Row] = &[$(Row { name: Name::$variant, text: $text, compact: names!(@compact $($compact)?) },)*];

        fn long(lower: &[u8]) -> Option<Name> {
            match lower {
                $($lower => Some(Name::$variant),)*
                _ => None,
            }
        }

        fn short(lower: u8) -> Option<Name> {
            match lower {
                $($($compact => Some(Name::$variant),)?)*
                _ => None,
            }
        }
    };
    (@compact $compact:literal) => { Some($compact) };
    (@compact) => { None };
}

names! {
    Accept "Accept" b"accept";
    AcceptContact "Accept-Contact" b"accept-contact" b'a';
    AcceptEncoding "Accept-Encoding" b"accept-encoding";
    AcceptLanguage "Accept-Language" b"accept-language";
    AlertInfo "Alert-Info" b"alert-info";
    Allow "Allow" b"allow";
    AllowEvents "Allow-Events" b"allow-events" b'u';
    AuthenticationInfo "Authentication-Info" b"authentication-info";
    Authorization "Authorization" b"authorization";
    CallId "Call-ID" b"call-id" b'i';
    CallInfo "Call-Info" b"call-info";
    Contact "Contact" b"contact" b'm';
    ContentDisposition "Content-Disposition" b"content-disposition";
    ContentEncoding "Content-Encoding" b"content-encoding" b'e';
    ContentLanguage "Content-Language" b"content-language";
    ContentLength "Content-Length" b"content-length" b'l';
    ContentType "Content-Type" b"content-type" b'c';
    CSeq "CSeq" b"cseq";
    Date "Date" b"date";
    Diversion "Diversion" b"diversion";
    ErrorInfo "Error-Info" b"error-info";
    Event "Event" b"event" b'o';
    Expires "Expires" b"expires";
    From "From" b"from" b'f';
    HistoryInfo "History-Info" b"history-info";
    Identity "Identity" b"identity" b'y';
    InReplyTo "In-Reply-To" b"in-reply-to";
    Join "Join" b"join";
    MaxForwards "Max-Forwards" b"max-forwards";
    MimeVersion "MIME-Version" b"mime-version";
    MinExpires "Min-Expires" b"min-expires";
    MinSe "Min-SE" b"min-se";
    Organization "Organization" b"organization";
    PAssertedIdentity "P-Asserted-Identity" b"p-asserted-identity";
    PPreferredIdentity "P-Preferred-Identity" b"p-preferred-identity";
    Path "Path" b"path";
    Priority "Priority" b"priority";
    Privacy "Privacy" b"privacy";
    ProxyAuthenticate "Proxy-Authenticate" b"proxy-authenticate";
    ProxyAuthorization "Proxy-Authorization" b"proxy-authorization";
    ProxyRequire "Proxy-Require" b"proxy-require";
    RAck "RAck" b"rack";
    Reason "Reason" b"reason";
    RecordRoute "Record-Route" b"record-route";
    ReferSub "Refer-Sub" b"refer-sub";
    ReferTo "Refer-To" b"refer-to" b'r';
    ReferredBy "Referred-By" b"referred-by" b'b';
    RejectContact "Reject-Contact" b"reject-contact" b'j';
    RemotePartyId "Remote-Party-ID" b"remote-party-id";
    Replaces "Replaces" b"replaces";
    ReplyTo "Reply-To" b"reply-to";
    RequestDisposition "Request-Disposition" b"request-disposition" b'd';
    Require "Require" b"require";
    RetryAfter "Retry-After" b"retry-after";
    Route "Route" b"route";
    RSeq "RSeq" b"rseq";
    Server "Server" b"server";
    ServiceRoute "Service-Route" b"service-route";
    SessionExpires "Session-Expires" b"session-expires" b'x';
    SipEtag "SIP-ETag" b"sip-etag";
    SipIfMatch "SIP-If-Match" b"sip-if-match";
    Subject "Subject" b"subject" b's';
    SubscriptionState "Subscription-State" b"subscription-state";
    Supported "Supported" b"supported" b'k';
    Timestamp "Timestamp" b"timestamp";
    To "To" b"to" b't';
    Unsupported "Unsupported" b"unsupported";
    UserAgent "User-Agent" b"user-agent";
    Via "Via" b"via" b'v';
    Warning "Warning" b"warning";
    WwwAuthenticate "WWW-Authenticate" b"www-authenticate";
}

/// No known name is longer.
const LONGEST: usize = 24;

impl Name {
    /// The known name that `text` is, long or compact, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Name> {
        Name::of_bytes(text.as_bytes())
    }

    pub(crate) fn of_bytes(text: &[u8]) -> Option<Name> {
        if let [only] = text {
            return short(only.to_ascii_lowercase());
        }
        let mut buffer = [0_u8; LONGEST];
        let lower = buffer.get_mut(..text.len())?;
        lower.copy_from_slice(text);
        lower.make_ascii_lowercase();
        long(lower)
    }

    /// The long form, in its usual spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().map_or("", |row| row.text)
    }

    /// The compact form, lower case.
    #[must_use]
    pub fn compact(self) -> Option<char> {
        self.row().and_then(|row| row.compact).map(char::from)
    }

    /// Every known name.
    pub fn all() -> impl Iterator<Item = Name> {
        ROWS.iter().map(|row| row.name)
    }

    fn row(self) -> Option<&'static Row> {
        ROWS.get(usize::from(self as u8))
    }
}
