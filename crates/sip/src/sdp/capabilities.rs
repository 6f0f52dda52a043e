//! What a description says that its writer can, where it describes no session: in answers to OPTIONS, in 488 and 606 (RFC 3264 §9).
//!
//! Such a description has port 0 and often no address, so that no offer can be read out of it. Python asks what to offer instead.

use super::codec::{Codec, codecs_of};
use super::description::{Description, SdpError};

/// The codecs of every audio line over RTP, in order, each once, whatever its port and address.
///
/// # Errors
///
/// When it is no session description.
pub fn read_capabilities(body: &[u8]) -> Result<Vec<Codec>, SdpError> {
    let description = Description::parse(body)?;
    let mut codecs: Vec<Codec> = Vec::new();
    // RFC 3264 §9: a transport that is not known says nothing about what can be had over RTP.
    let audio = description
        .media
        .iter()
        .filter(|media| media.kind == "audio" && over_rtp(&media.protocol));
    for codec in audio.flat_map(|media| codecs_of(media, &[])) {
        if !codecs.iter().any(|known| known.same_format(&codec)) {
            codecs.push(codec);
        }
    }
    Ok(codecs)
}

/// `RTP/AVP`, `RTP/SAVPF`, `UDP/TLS/RTP/SAVPF` and their kin.
fn over_rtp(protocol: &str) -> bool {
    protocol.split('/').any(|part| part == "RTP")
}
