//! Descriptions that describe no session: what they say that their writer can (RFC 3264 §9).

use super::*;

fn named(body: &[u8]) -> Vec<String> {
    read_capabilities(body).unwrap().iter().map(Codec::to_string).collect()
}

#[test]
fn test_codecs_are_read_where_port_and_address_are_missing() {
    // RFC 3264 §9, as an answer to OPTIONS has it
    let body = b"v=0\r\no=carol 28908764872 28908764872 IN IP4 100.3.6.6\r\ns=-\r\nt=0 0\r\nc=IN IP4 192.0.2.4\r\n\
        m=audio 0 RTP/AVP 0 1 3\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:1 1016/8000\r\na=rtpmap:3 GSM/8000\r\n\
        m=video 0 RTP/AVP 31 34\r\na=rtpmap:31 H261/90000\r\na=rtpmap:34 H263/90000\r\n";
    assert_eq!(named(body), ["PCMU/8000", "1016/8000", "GSM/8000"]);
    let bare = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    assert_eq!(named(bare), ["PCMA/8000", "telephone-event/8000"]);
}

#[test]
fn test_every_audio_line_over_rtp_counts_and_each_codec_once() {
    let body = sdp(
        1,
        "m=audio 0 RTP/SAVP 8 0
         m=audio 0 RTP/AVP 0 9
         m=audio 0 udp 18
         m=audio 0 UDP/TLS/RTP/SAVPF 96
         a=rtpmap:96 opus/48000/2",
    );
    assert_eq!(named(&body), ["PCMA/8000", "PCMU/8000", "G722/8000", "opus/48000/2"]);
}

#[test]
fn test_no_audio_is_no_codec_and_what_is_no_description_is_refused() {
    assert_eq!(named(&sdp(1, "m=image 0 udptl t38")), [""; 0]);
    assert!(read_capabilities(b"PCMU, PCMA").is_err());
    assert!(read_capabilities(b"").is_err());
}
