//! The tables by themselves.
