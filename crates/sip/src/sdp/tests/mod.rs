//! Shared by the tests: a leg of ours at 192.0.2.9 and descriptions of theirs at 198.51.100.1.

mod capabilities;
mod codecs;
mod describing;
mod faxes;
mod hostile;
mod properties;
mod vectors;

use super::*;

const US: &str = "192.0.2.9";

fn codec(text: &str) -> Codec {
    let mut parts = text.split('/');
    let (name, rate) = (parts.next().unwrap(), parts.next().unwrap().parse().unwrap());
    Codec::new(name, rate, parts.next().map_or(1, |channels| channels.parse().unwrap()), None, None).unwrap()
}

fn codecs(text: &str) -> Vec<Codec> {
    text.split_whitespace().map(codec).collect()
}

fn leg() -> Describer {
    Describer::new(7, "-", "-").unwrap()
}

fn ours(codecs: &[Codec]) -> Ours<'_> {
    Ours {
        address: US.parse().unwrap(),
        port: 20_000,
        codecs,
        direction: Direction::SendRecv,
        ptime_ms: None,
        rtcp_mux: false,
    }
}

/// A description of theirs: session lines fixed, version and media as given, at 198.51.100.1.
fn sdp(version: u32, media: &str) -> Vec<u8> {
    let media = media.trim().lines().map(|line| format!("{}\r\n", line.trim())).collect::<String>();
    format!("v=0\r\no=alice 2890844526 {version} IN IP4 198.51.100.1\r\ns=\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{media}").into_bytes()
}

/// Answer `offer` with `can`, willing to do `direction`.
fn answer_as(leg: &mut Describer, offer: &[u8], can: &str, direction: Direction) -> Result<(String, MediaPlan), DescribeError> {
    let offer = leg.read_offer(offer)?;
    let can = codecs(can);
    let (text, plan) = leg.answer(&offer, &Ours { direction, ..ours(&can) })?;
    Ok((text, plan.clone()))
}

fn answer(leg: &mut Describer, offer: &[u8], can: &str) -> (String, MediaPlan) {
    answer_as(leg, offer, can, Direction::SendRecv).unwrap()
}

fn offer(leg: &mut Describer, can: &str) -> String {
    leg.offer(&ours(&codecs(can))).unwrap()
}

fn reason<T: std::fmt::Debug>(result: Result<T, DescribeError>) -> String {
    match result.unwrap_err() {
        DescribeError::Negotiation(error) => error.reason,
        other => panic!("{other:?}"),
    }
}

fn numbers(codecs: &[Codec]) -> Vec<(String, u8)> {
    codecs
        .iter()
        .map(|codec| (codec.to_string(), codec.payload_type().unwrap()))
        .collect()
}

fn pairs(list: &[(&str, u8)]) -> Vec<(String, u8)> {
    list.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
}

fn media_lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("m=")).collect()
}

fn version(text: &str) -> u64 {
    Description::parse(text.as_bytes())
        .unwrap()
        .origin()
        .unwrap()
        .version
        .parse()
        .unwrap()
}
