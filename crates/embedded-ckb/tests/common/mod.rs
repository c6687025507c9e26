//! The well-known scripts that the tests put on their chains, and cells made with them.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use ckb_types::{
    bytes::Bytes,
    core::Capacity,
    packed::{CellOutput, Script},
    prelude::*,
};
use perun_embedded_ckb::Genesis;
use std::process::Command;
use std::sync::OnceLock;

/// The hash of the sUDT script as it is deployed on the public chain.
const SIMPLE_UDT_HASH: &str = "0xe1e354d6d643ad42724d40967e334984534e0367405c5ae42a9d7d63d77df419";

/// The sUDT script, from the test data of the official SDK.
pub(crate) fn simple_udt() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| sdk_test_data("simple_udt"));
    assert_eq!(format!("{:#x}", CellOutput::calc_data_hash(bytes)), SIMPLE_UDT_HASH);
    bytes.clone()
}

/// The multisig lock as it is since its second version.
pub(crate) fn multisig_v2() -> Vec<u8> {
    ckb_system_scripts::BUNDLED_CELL
        .get("specs/cells/secp256k1_blake160_multisig_all")
        .expect("the crate bundles the multisig lock")
        .into_owned()
}

/// The dev chain with both on it.
pub(crate) fn genesis() -> Genesis {
    Genesis::builder()
        .cell("simple_udt", simple_udt())
        .cell("multisig_v2", multisig_v2())
        .group("multisig_v2", &["secp256k1_data", "multisig_v2"])
        .build()
        .expect("the bundled spec and two more cells")
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

fn sdk_test_data(file: &str) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let sdk = packages.iter().find(|it| it["name"] == "ckb-sdk").expect("ckb-sdk is a dependency");
    let manifest = std::path::Path::new(sdk["manifest_path"].as_str().expect("a path"));
    let path = manifest.with_file_name("src").join("test-data").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
