//! Bytes of RFC 3550, what A.2 forbids, and properties.

use proptest::prelude::*;

use super::*;

fn block() -> impl Strategy<Value = ReportBlock> {
    (any::<(u32, u8, u32, u32, u32, u32)>(), -0x80_0000i32..0x80_0000).prop_map(|(words, cumulative_lost)| {
        let (ssrc, fraction_lost, highest_sequence, jitter, last_sender_report, delay) = words;
        ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost,
            highest_sequence,
            jitter,
            last_sender_report,
            delay,
        }
    })
}

fn compound(info: Option<&SenderInfo>) -> Vec<u8> {
    let mut out = Vec::new();
    write_report(
        &mut out,
        7,
        info,
        &[ReportBlock {
            ssrc: 9,
            cumulative_lost: -1,
            ..ReportBlock::default()
        }],
    );
    write_cname(&mut out, 7, "abc");
    write_goodbye(&mut out, 7);
    out
}

#[test]
fn test_a_receiver_report_has_the_bytes_of_rfc_3550() {
    let mut out = Vec::new();
    write_report(&mut out, 0x0102_0304, None, &[]);
    write_cname(&mut out, 0x0102_0304, "ab");
    write_goodbye(&mut out, 5);
    let expected = [
        &[0x80, 201, 0, 1, 1, 2, 3, 4][..],
        &[0x81, 202, 0, 3, 1, 2, 3, 4, 1, 2, b'a', b'b', 0, 0, 0, 0],
        &[0x81, 203, 0, 1, 0, 0, 0, 5],
    ];
    assert_eq!(out, expected.concat());
}

#[test]
fn test_a_compound_is_read_packet_by_packet() {
    let data = compound(Some(&SenderInfo {
        ntp: 1,
        rtp_timestamp: 2,
        packets: 3,
        octets: 4,
    }));
    let packets: Vec<_> = parse(&data).unwrap().packets().collect();
    assert!(
        matches!(packets[0], Packet::SenderReport { ssrc: 7, info: SenderInfo { octets: 4, .. }, blocks } if blocks.iter().count() == 1)
    );
    assert_eq!(packets[1], Packet::SourceDescription { ssrc: 7, cname: b"abc" });
    assert_eq!(packets[2..], [Packet::Goodbye { ssrc: Some(7) }]);
    assert_eq!(parse(&data).unwrap().sender(), Some(7));
}

#[test]
fn test_what_appendix_a2_forbids_is_refused() {
    let good = compound(None);
    let change = |at: usize, value: u8| {
        let mut bad = good.clone();
        bad[at] = value;
        parse(&bad).err()
    };
    assert_eq!(change(0, 0x41), Some(ParseError::Version));
    assert_eq!(change(1, 202), Some(ParseError::NoReport));
    assert_eq!(change(0, 0xa1), Some(ParseError::Padding));
    assert_eq!(change(0, 0x82), Some(ParseError::Content));
    assert_eq!(change(3, 60), Some(ParseError::Truncated));
    assert_eq!(parse(&good[..good.len() - 1]).err(), Some(ParseError::Truncated));
    assert_eq!(parse(&[]).err(), Some(ParseError::Truncated));
}

#[test]
fn test_an_item_list_without_end_is_refused() {
    let mut data = Vec::new();
    write_report(&mut data, 1, None, &[]);
    data.extend_from_slice(&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'a', b'b']);
    assert_eq!(parse(&data).err(), Some(ParseError::Content));
}

#[test]
fn test_padding_of_the_last_packet_is_no_content() {
    let mut data = Vec::new();
    write_report(&mut data, 1, None, &[]);
    data.extend_from_slice(&[0xa1, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4]);
    assert_eq!(parse(&data).unwrap().packets().last(), Some(Packet::Goodbye { ssrc: Some(1) }));
    data[15] = 0x80;
    let last = data.len() - 1;
    data[last] = 3;
    assert_eq!(parse(&data).err(), Some(ParseError::Padding));
}

proptest! {
    #[test]
    fn test_parsing_never_panics(data in proptest::collection::vec(any::<u8>(), 0..200), report: bool) {
        let mut data = data;
        if report && data.len() >= 2 {
            data[0] = 0x80 | data[0] & 0x21;
            data[1] = 200 + data[1] % 2;
        }
        if let Ok(compound) = parse(&data) {
            prop_assert!(compound.packets().count() >= 1);
        }
    }

    #[test]
    fn test_building_and_parsing_is_identity(
        ssrc: u32, info in proptest::option::of(any::<(u64, u32, u32, u32)>()), blocks in proptest::collection::vec(block(), 0..32), cname in ".{0,300}"
    ) {
        let info = info.map(|(ntp, rtp_timestamp, packets, octets)| SenderInfo { ntp, rtp_timestamp, packets, octets });
        let mut out = Vec::new();
        write_report(&mut out, ssrc, info.as_ref(), &blocks);
        write_cname(&mut out, ssrc, &cname);
        let packets: Vec<_> = parse(&out).unwrap().packets().collect();
        let (read_info, read_blocks) = match packets[0] {
            Packet::SenderReport { info, blocks, .. } => (Some(info), blocks),
            Packet::ReceiverReport { blocks, .. } => (None, blocks),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!((read_info, read_blocks.iter().collect::<Vec<_>>()), (info, blocks));
        prop_assert_eq!(packets[1], Packet::SourceDescription { ssrc, cname: &cname.as_bytes()[..cname.len().min(255)] });
    }
}
