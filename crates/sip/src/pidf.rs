//! Presence documents (PIDF, RFC 3863) as phones publish them: a bounded reader that knows no entities beyond XML's own five.
//!
//! Python asks it for the body of a PUBLISH and composes its own document of what it says. Read are tuples (status, contact, notes), the
//! notes of the person (RFC 4479) and its activities (RFC 4480); all else is passed over. A document type, and with it every entity and
//! external reference that it could bring, is refused.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use thiserror::Error;

/// Bytes of a document; longer ones are refused.
pub const MAX_BYTES: usize = 32 * 1024;

const MAX_DEPTH: usize = 16;
const MAX_ELEMENTS: usize = 512;
const MAX_TUPLES: usize = 16;
const MAX_NOTES: usize = 8;
const MAX_ACTIVITIES: usize = 16;
const MAX_TEXT: usize = 1_000;

const PIDF: &str = "urn:ietf:params:xml:ns:pidf";
const DATA_MODEL: &str = "urn:ietf:params:xml:ns:pidf:data-model";
const RPID: &str = "urn:ietf:params:xml:ns:pidf:rpid";

/// Why a body is no presence document.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PidfError {
    /// It is no well-formed XML in UTF-8.
    #[error("not well-formed XML in UTF-8")]
    Malformed,
    /// Its root is no `presence` element of PIDF.
    #[error("no presence element")]
    NoPresence,
    /// It has a document type or an entity of its own.
    #[error("a document type or an entity is not taken")]
    Entity,
    /// It is longer, deeper or fuller than is read.
    #[error("too large")]
    TooLarge,
}

/// One tuple: a way to reach somebody, and whether it is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuple {
    /// Its id.
    pub id: String,
    /// Whether it is open; `None` where it does not say.
    pub open: Option<bool>,
    /// Its contact URI, unchecked; empty for none.
    pub contact: String,
    /// Its notes.
    pub notes: Vec<String>,
}

/// What a presence document says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Whose it is: a URI, unchecked.
    pub entity: String,
    /// The tuples in order.
    pub tuples: Vec<Tuple>,
    /// Notes about the whole, or the person.
    pub notes: Vec<String>,
    /// Names of the person's activities, as `away` or `on-the-phone`.
    pub activities: Vec<String>,
}

/// Where in the document the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root,
    Presence,
    Tuple,
    Status,
    Basic,
    Contact,
    TupleNote,
    Note,
    Person,
    Activities,
    Activity,
    Elsewhere,
}

/// (inside, namespace, element) → where that is; `*` is every name.
const PLACES: [(Place, &str, &str, Place); 11] = [
    (Place::Root, PIDF, "presence", Place::Presence),
    (Place::Presence, PIDF, "tuple", Place::Tuple),
    (Place::Presence, PIDF, "note", Place::Note),
    (Place::Presence, DATA_MODEL, "person", Place::Person),
    (Place::Tuple, PIDF, "status", Place::Status),
    (Place::Tuple, PIDF, "contact", Place::Contact),
    (Place::Tuple, PIDF, "note", Place::TupleNote),
    (Place::Status, PIDF, "basic", Place::Basic),
    (Place::Person, DATA_MODEL, "note", Place::Note),
    (Place::Person, RPID, "activities", Place::Activities),
    (Place::Activities, RPID, "*", Place::Activity),
];

/// Read a presence document.
///
/// # Errors
///
/// [`PidfError`] says why it is none, or is not taken.
pub fn parse(body: &[u8]) -> Result<Presence, PidfError> {
    if body.len() > MAX_BYTES {
        return Err(PidfError::TooLarge);
    }
    let text = std::str::from_utf8(body).map_err(|_| PidfError::Malformed)?;
    let mut xml = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    let mut reader = Reader::default();
    loop {
        let (namespace, event) = xml.read_resolved_event().map_err(|_| PidfError::Malformed)?;
        match event {
            Event::Start(start) => reader.open(&namespace, &start)?,
            Event::Empty(start) => {
                reader.open(&namespace, &start)?;
                reader.close()?;
            }
            Event::End(_) => reader.close()?,
            Event::Text(text) => reader.read(&text.xml10_content())?,
            Event::CData(text) => reader.read(&text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let letter = reference.resolve_char_ref().map_err(|_| PidfError::Malformed)?;
                let own = letter
                    .map(String::from)
                    .or_else(|| resolve_predefined_entity(&reference).map(str::to_owned));
                reader.read(&own.ok_or(PidfError::Entity)?)?;
            }
            Event::DocType(_) => return Err(PidfError::Entity),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return reader.finish(),
        }
    }
}

#[derive(Default)]
struct Reader {
    found: Presence,
    path: Vec<Place>,
    elements: usize,
    text: String,
    rooted: bool,
}

impl Reader {
    fn place(&self) -> Place {
        self.path.last().copied().unwrap_or(Place::Root)
    }

    fn open(&mut self, namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Result<(), PidfError> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS || self.path.len() >= MAX_DEPTH {
            return Err(PidfError::TooLarge);
        }
        let name = start.local_name();
        let name = name.as_ref();
        let space = match namespace {
            ResolveResult::Bound(space) => space.as_ref(),
            ResolveResult::Unbound => "",
            ResolveResult::Unknown(_) => return Err(PidfError::Malformed),
        };
        let place = placed(self.place(), space, name);
        match place {
            Place::Presence if self.rooted => return Err(PidfError::Malformed),
            Place::Presence => {
                self.rooted = true;
                self.found.entity = attribute(start, "entity")?;
            }
            Place::Tuple if self.found.tuples.len() >= MAX_TUPLES => return Err(PidfError::TooLarge),
            Place::Tuple => self.found.tuples.push(Tuple {
                id: attribute(start, "id")?,
                ..Tuple::default()
            }),
            Place::Activity => note(&mut self.found.activities, name, MAX_ACTIVITIES)?,
            _ if !self.rooted => return Err(PidfError::NoPresence),
            _ => {}
        }
        self.text.clear();
        self.path.push(place);
        Ok(())
    }

    fn read(&mut self, text: &str) -> Result<(), PidfError> {
        if self.path.is_empty() {
            return if text.trim().is_empty() {
                Ok(())
            } else {
                Err(PidfError::Malformed)
            };
        }
        if !matches!(self.place(), Place::Basic | Place::Contact | Place::TupleNote | Place::Note) {
            return Ok(());
        }
        if self.text.len() + text.len() > MAX_TEXT {
            return Err(PidfError::TooLarge);
        }
        self.text.push_str(text);
        Ok(())
    }

    fn close(&mut self) -> Result<(), PidfError> {
        let place = self.path.pop().ok_or(PidfError::Malformed)?;
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        let tuple = self.found.tuples.last_mut();
        match (place, tuple) {
            (Place::Basic, Some(tuple)) => tuple.open = Some(text == "open"),
            (Place::Contact, Some(tuple)) => tuple.contact = text.to_owned(),
            (Place::TupleNote, Some(tuple)) => note(&mut tuple.notes, text, MAX_NOTES)?,
            (Place::Note, _) => note(&mut self.found.notes, text, MAX_NOTES)?,
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Presence, PidfError> {
        match (self.rooted, self.path.is_empty()) {
            (false, _) => Err(PidfError::NoPresence),
            (true, false) => Err(PidfError::Malformed),
            (true, true) => Ok(self.found),
        }
    }
}

fn placed(inside: Place, space: &str, name: &str) -> Place {
    let fits = |row: &&(Place, &str, &str, Place)| row.0 == inside && row.1 == space && (row.2 == name || row.2 == "*");
    PLACES.iter().find(fits).map_or(Place::Elsewhere, |row| row.3)
}

fn note(list: &mut Vec<String>, text: &str, most: usize) -> Result<(), PidfError> {
    if list.len() >= most || text.len() > MAX_TEXT {
        return Err(PidfError::TooLarge);
    }
    if !text.is_empty() {
        list.push(text.to_owned());
    }
    Ok(())
}

/// The value of an attribute without prefix; empty where it is absent.
fn attribute(start: &BytesStart<'_>, name: &str) -> Result<String, PidfError> {
    let mut attributes = start.attributes();
    // Looking for repeats costs the square of their number.
    for found in attributes.with_checks(false) {
        let found = found.map_err(|_| PidfError::Malformed)?;
        if found.key.as_ref() == name {
            let value = found.normalized_value(XmlVersion::Implicit1_0).map_err(|_| PidfError::Malformed)?;
            return if value.len() > MAX_TEXT {
                Err(PidfError::TooLarge)
            } else {
                Ok(value.into_owned())
            };
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINPHONE: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<p1:presence xmlns:p1="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
 xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@pbx.example">
 <p1:tuple id="k1"><p1:status><p1:basic>open</p1:basic></p1:status>
  <p1:contact priority="0.8">sip:alice@192.0.2.1</p1:contact><p1:note>at &#x41;&amp;B</p1:note>
  <p1:timestamp>2026-01-01T00:00:00Z</p1:timestamp></p1:tuple>
 <dm:person id="p1"><rpid:activities><rpid:on-the-phone/></rpid:activities><dm:note><![CDATA[<busy>]]></dm:note></dm:person>
</p1:presence>"#;

    #[test]
    fn test_a_published_document_is_read() {
        let presence = parse(LINPHONE.as_bytes()).unwrap();
        assert_eq!(presence.entity, "sip:alice@pbx.example");
        assert_eq!(presence.activities, ["on-the-phone"]);
        assert_eq!(presence.notes, ["<busy>"]);
        let tuple = Tuple {
            id: "k1".to_owned(),
            open: Some(true),
            contact: "sip:alice@192.0.2.1".to_owned(),
            notes: vec!["at A&B".to_owned()],
        };
        assert_eq!(presence.tuples, [tuple]);
    }

    #[test]
    fn test_elements_of_other_namespaces_say_nothing() {
        let text = r#"<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:x="urn:x"><x:tuple id="a"/><tuple id="b"><x:status><x:basic>open</x:basic></x:status></tuple></presence>"#;
        let presence = parse(text.as_bytes()).unwrap();
        assert_eq!(presence.tuples.len(), 1);
        assert_eq!(presence.tuples[0].open, None);
    }

    #[test]
    fn test_a_document_type_and_unknown_entities_are_refused() {
        let bomb = r#"<!DOCTYPE p [<!ENTITY a "x">]><presence xmlns="urn:ietf:params:xml:ns:pidf"/>"#;
        assert_eq!(parse(bomb.as_bytes()), Err(PidfError::Entity));
        let named = r#"<presence xmlns="urn:ietf:params:xml:ns:pidf"><note>&a;</note></presence>"#;
        assert_eq!(parse(named.as_bytes()), Err(PidfError::Entity));
    }

    #[test]
    fn test_what_is_no_presence_document_is_refused() {
        assert_eq!(parse(b""), Err(PidfError::NoPresence));
        assert_eq!(parse(b"<presence/>"), Err(PidfError::NoPresence));
        assert_eq!(parse(b"<a><b></a>"), Err(PidfError::NoPresence));
        let open = r#"<presence xmlns="urn:ietf:params:xml:ns:pidf"><tuple id="a">"#;
        assert_eq!(parse(open.as_bytes()), Err(PidfError::Malformed));
        let crossed = r#"<presence xmlns="urn:ietf:params:xml:ns:pidf"><tuple></presence></tuple>"#;
        assert_eq!(parse(crossed.as_bytes()), Err(PidfError::Malformed));
        let twice = r#"<presence xmlns="urn:ietf:params:xml:ns:pidf"/><presence xmlns="urn:ietf:params:xml:ns:pidf"/>"#;
        assert_eq!(parse(twice.as_bytes()), Err(PidfError::Malformed));
        assert_eq!(parse(b"\xff"), Err(PidfError::Malformed));
    }

    #[test]
    fn test_every_measure_is_bounded() {
        let within = |inner: &str| format!(r#"<presence xmlns="urn:ietf:params:xml:ns:pidf">{inner}</presence>"#);
        for inner in [
            "<a>".repeat(MAX_DEPTH) + &"</a>".repeat(MAX_DEPTH),
            "<a/>".repeat(MAX_ELEMENTS),
            "<tuple id='a'/>".repeat(MAX_TUPLES + 1),
            "<note>a</note>".repeat(MAX_NOTES + 1),
            format!("<note>{}</note>", "a".repeat(MAX_TEXT + 1)),
            " ".repeat(MAX_BYTES),
        ] {
            assert_eq!(parse(within(&inner).as_bytes()), Err(PidfError::TooLarge), "{:.40}", inner);
        }
    }
}
