//! The golden vectors in `vectors/`: this crate and every other reader of them must agree on each
//! row.
//!
//! The rows were computed by an implementation written apart from this one. A test here must never
//! be mended by regenerating them from this crate.

mod codec;
mod ethereum;
mod read;
mod swap;
