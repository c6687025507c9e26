//! The chain that the tests run on, and cells of tokens.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use ckb_types::{
    bytes::Bytes,
    core::Capacity,
    packed::{CellOutput, Script},
    prelude::*,
};
use perun_embedded_ckb::Genesis;
use std::sync::OnceLock;

/// The dev chain with the well-known scripts on it.
pub(crate) fn genesis() -> Genesis {
    static MADE: OnceLock<Genesis> = OnceLock::new();
    let make = || perun_embedded_ckb::well_known::builder().unwrap().build().unwrap();
    MADE.get_or_init(make).clone()
}

/// A cell of tokens with the least capacity, for tokens that this lock may mint.
pub(crate) fn tokens(
    genesis: &Genesis,
    issuer: &Script,
    lock: Script,
    amount: u128,
) -> (CellOutput, Bytes) {
    let owner = issuer.calc_script_hash();
    let udt = genesis.cell("simple_udt").expect("the sUDT is on the chain");
    let data = Bytes::copy_from_slice(&amount.to_le_bytes());
    let output = CellOutput::new_builder()
        .lock(lock)
        .type_(Some(udt.script(owner.as_slice())).pack())
        .build_exact_capacity(Capacity::bytes(data.len()).expect("16 bytes"))
        .expect("a small cell");
    (output, data)
}
