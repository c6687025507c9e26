//! Where the gas of a transaction goes.

use alloy_primitives::{Address, Bytes, U256, hex};
use perun_embedded_evm::testkit::{call, signed};
use perun_embedded_evm::{Chain, GasParts};
use serde_json::json;

use crate::{LOGGER, STORE, ask, contract, dev_chain, signer};

/// What it counts before, and what the receipt says after.
fn parts(chain: &Chain, to: Address, value: u64, input: Bytes) -> GasParts {
    let tx = call(chain, &signer(0), to.into(), U256::from(value), input, 200_000).unwrap();
    let raw = signed(&signer(0), tx);
    let parts = chain.gas_parts(&raw).unwrap();
    assert_eq!(chain.gas_parts(&raw).unwrap(), parts, "counting changes nothing");
    let hash = chain.send_raw(&raw).unwrap();
    chain.mine(1).unwrap();
    let used = &ask(chain, "eth_getTransactionReceipt", json!([hash]))["gasUsed"];
    assert_eq!(*used, json!(format!("{:#x}", parts.total())));
    parts
}

#[test]
fn a_transfer_runs_nothing() {
    let parts = parts(&dev_chain(), Address::repeat_byte(7), 1, Bytes::new());
    assert_eq!(parts, GasParts { transaction: 21_000, ..GasParts::default() });
}

#[test]
fn storage_and_what_is_given_back_for_it_are_counted() {
    let chain = dev_chain();
    let store = contract(&chain, STORE);
    let word = |last: u8| Bytes::from([&[0; 31][..], &[last]].concat());
    let bytes = 31 * 4;
    let written = parts(&chain, store, 0, word(1));
    assert_eq!((written.transaction, written.storage), (21_000 + bytes + 16, 22_100));
    assert_eq!((written.logs, written.calls, written.refund), (0, 0, 0));
    assert!(written.code > 0);
    let cleared = parts(&chain, store, 0, word(0));
    assert_eq!((cleared.transaction, cleared.storage), (21_000 + bytes + 4, 5_000));
    assert_eq!(cleared.refund, 4_800);
}

#[test]
fn logs_are_counted_with_their_bytes() {
    let chain = dev_chain();
    let logger = contract(&chain, LOGGER);
    let counted = parts(&chain, logger, 0, Bytes::from(vec![0; 64]));
    assert_eq!(counted.logs, 375 + 375 + 8 * 32);
}

/// Calls the account, and with 128 bytes the contract that recovers signers.
#[test]
fn calls_are_counted_with_all_that_runs_inside() {
    let chain = dev_chain();
    let store = contract(&chain, STORE);
    // CALL(gas, store, 0, 0, 32, 0, 0): it keeps the word zero, which is there already.
    let mut code = hex!("5f5f60205f5f73").to_vec();
    code.extend_from_slice(store.as_slice());
    code.extend(hex!("5af1"));
    // STATICCALL(gas, 1, 0, 128, 0, 32)
    code.extend(hex!("60205f60805f60015afa00"));
    let counted = parts(&chain, contract(&chain, &code), 0, Bytes::new());
    let (cold_account, cold_read) = (2_600, 2_200);
    let inside = counted.calls - cold_account - cold_read;
    assert!(inside > 0 && inside < 100, "{counted:?}");
    assert_eq!((counted.storage, counted.logs), (0, 0), "storage of another is in its call");
    // With the memory that is used first.
    assert_eq!(counted.signatures, 3_000 + 100 + 9);
}
