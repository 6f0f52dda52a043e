//! Header fields: their names, and typed readers for those that the stack acts on. One file a family.
//!
//! [`Name`] knows long and compact names; [`Params`] is what follows a semicolon; [`NameAddr`] is From, To, Contact, Route and their kin;
//! [`Via`], [`CSeq`], [`RAck`], [`Reason`] and [`Replaces`] are themselves, [`Parameterized`] is a token with parameters. [`split_list`] cuts
//! a value at its top-level commas. `message` checks with the borrowing scanners of these files, `endpoint` and Python read through the types. RFC 3261 §20, §25.1.

mod address;
mod cseq;
mod date;
mod name;
mod parameterized;
mod params;
mod rack;
mod reason;
mod replaces;
#[cfg(test)]
mod tests;
mod text;
mod via;

pub(crate) use address::AddressScan;
pub use address::NameAddr;
pub use cseq::CSeq;
pub use date::date_seconds;
pub use name::Name;
pub use parameterized::Parameterized;
pub use params::Params;
pub(crate) use params::{find_raw, scan as scan_params};
pub use rack::RAck;
pub(crate) use rack::parse_rseq;
pub use reason::Reason;
pub use replaces::Replaces;
pub use text::{capped_integer, leading_integer, parse_integer, qvalue, split_list, without_params};
pub(crate) use text::{has_bare_nul, head_and_body, is_token, trim, unfolded_lines, unquote};
pub use via::Via;
