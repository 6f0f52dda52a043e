//! T.38 in session descriptions: `m=image … udptl t38` and its attributes (ITU-T T.38 Annex D, RFC 3362).
//!
//! A fax line takes the place of the audio line and gives it back. What it says about the fax is a closed list, read here and written again on
//! the other leg; the datagrams themselves are relayed. `describer` keeps the state.

use std::net::SocketAddr;

use super::audio::{Unusable, connection};
use super::description::{Description, Line, Media, attributes};

/// The attributes of T.38 Annex D, spelled as the recommendation does. Others do not cross.
const KNOWN: [&str; 14] = [
    "T38FaxVersion",
    "T38MaxBitRate",
    "T38FaxFillBitRemoval",
    "T38FaxTranscodingMMR",
    "T38FaxTranscodingJBIG",
    "T38FaxRateManagement",
    "T38FaxMaxBuffer",
    "T38FaxMaxDatagram",
    "T38FaxMaxIFP",
    "T38FaxUdpEC",
    "T38FaxUdpECDepth",
    "T38FaxUdpFECMaxSpan",
    "T38VendorInfo",
    "T38ModemType",
];
/// A longer value does not cross.
const MAX_VALUE: usize = 64;

/// An attribute of T.38: its name, and its value where it has one.
pub type FaxAttribute = (String, Option<String>);

/// What a description says about its fax line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fax {
    /// Where to send; `None` for an unspecified address.
    pub remote: Option<SocketAddr>,
    /// The known attributes, in order, each once.
    pub attributes: Vec<FaxAttribute>,
}

/// Whether a media line is T.38 over UDPTL. Names are compared without case: peers write `t38` and `T38`.
pub(super) fn is_fax(media: &Media) -> bool {
    let t38 = |format: &String| format.eq_ignore_ascii_case("t38");
    media.kind == "image" && media.protocol.eq_ignore_ascii_case("udptl") && media.formats.iter().any(t38)
}

/// Whether that is one of the known attributes with a value that may cross; then as it is written.
#[must_use]
pub fn known(name: &str, value: Option<&str>) -> Option<FaxAttribute> {
    let spelled = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name.trim()))?;
    let value = value.map(str::trim).filter(|value| !value.is_empty());
    let fits = value.is_none_or(|value| value.len() <= MAX_VALUE && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    fits.then(|| ((*spelled).to_owned(), value.map(str::to_owned)))
}

/// Those attributes that are known, each once.
pub(super) fn closed(given: impl Iterator<Item = FaxAttribute>) -> Vec<FaxAttribute> {
    let mut kept: Vec<FaxAttribute> = Vec::new();
    for (name, value) in given.filter_map(|(name, value)| known(&name, value.as_deref())) {
        if !kept.iter().any(|(other, _)| *other == name) {
            kept.push((name, value));
        }
    }
    kept
}

impl Fax {
    /// Read an enabled fax line.
    pub(super) fn read(description: &Description, media: &Media) -> Result<Self, Unusable> {
        let address = connection(description, media)?;
        let given = attributes(&media.lines).map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
        Ok(Fax {
            remote: (!address.is_unspecified()).then(|| SocketAddr::new(address, media.port)),
            attributes: closed(given),
        })
    }
}

/// Our fax line.
pub(super) fn fax_line(port: u16, attributes: &[FaxAttribute]) -> Media {
    let line = |(name, value): &FaxAttribute| {
        let value = value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}:{value}"));
        Line::new('a', value)
    };
    Media {
        kind: "image".to_owned(),
        port,
        port_count: None,
        protocol: "udptl".to_owned(),
        formats: vec!["t38".to_owned()],
        lines: attributes.iter().map(line).collect(),
    }
}
