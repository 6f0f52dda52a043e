//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264), one state a leg.
//!
//! `description` holds lines, `codec` and `audio` read what they mean, `negotiate` is the pure function that agrees, `describer` is what a
//! leg keeps: its own `o=` line and version, payload types and media lines; `crypto` and `security` are SDES. `capabilities`
//! reads what describes no session. The Python binding uses [`Describer`] and [`read_capabilities`] alone.

mod audio;
mod capabilities;
mod codec;
mod crypto;
mod describer;
mod description;
mod fax;
mod negotiate;
mod numbering;
mod security;

pub use audio::{Audio, Direction};
pub use capabilities::read_capabilities;
pub use codec::{Codec, CodecError, codecs_of, in_common, in_words};
pub use crypto::{Crypto, Key, MAX_CRYPTO, SUITES, Suite};
pub use describer::{DescribeError, Describer, RemoteOffer};
pub use description::{
    Description, Line, MAX_ATTRIBUTES, MAX_BYTES, MAX_FORMATS, MAX_MEDIA, MAX_OTHER_LINES, Media, Origin, SdpError, attribute, attributes,
    first,
};
pub use fax::{Fax, FaxAttribute, known as known_fax_attribute};
pub use negotiate::{Agreed, MediaPlan, NegotiationError, Offered, Ours, Stood, audio_line, choose_audio, conclude, negotiate};
pub use security::{Keys, Policy, Security};

#[cfg(test)]
mod tests;
