//! The scripts that people on CKB know: where tests find the real programs, and a dev chain with
//! all of them.
//!
//! Only for tests and dev chains. None of these programs is ours and none is part of the project:
//! they are read from packages that the build has anyway, and checked against the hashes that the
//! public chains know them by. xUDT is in no package; its file is named by [`XUDT_VARIABLE`].

use crate::genesis::{Genesis, GenesisBuilder, GenesisError};
use ckb_types::{bytes::Bytes, packed::CellOutput};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names the file of the xUDT program.
pub const XUDT_VARIABLE: &str = "PERUN_XUDT_BIN";

/// The programs, by the names of their cells in [`builder`], with their data hashes.
const SIMPLE_UDT: (&str, &str) =
    ("simple_udt", "0xe1e354d6d643ad42724d40967e334984534e0367405c5ae42a9d7d63d77df419");
const OMNILOCK: (&str, &str) =
    ("omni_lock", "0x635f78eba450cb2f73f113022ff62e4bbfb5a39b7368c375c6a731ba4c85c59e");
const ANYONE_CAN_PAY: (&str, &str) =
    ("anyone_can_pay", "0xcd69ba816f7471e59110058aa37387c362ed9a240cd178f7bb1ecee386cb31e6");
const MULTISIG_V2: (&str, &str) =
    ("multisig_v2", "0x36c971b8d41fbd94aabca77dc75e826729ac98447b46f91e00796155dddb0d29");
const XUDT: (&str, &str) =
    ("xudt", "0x50bd8d6680b8b9cf98b73f3c08faf8b2a21914311954118ad6609be6e78a1b95");

/// Why a program is not there.
#[derive(Debug, thiserror::Error)]
pub enum WellKnownError {
    /// The package that carries the programs was not found.
    #[error("`cargo metadata` does not lead to the package ckb-sdk: {0}")]
    Package(String),
    /// A file could not be read.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The file holds another program.
    #[error("{name} should have the data hash {wanted}, and has {found}")]
    Other {
        /// Which program.
        name: &'static str,
        /// The hash that the public chains know.
        wanted: &'static str,
        /// The hash of what was found.
        found: String,
    },
    /// The first block could not be made.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

/// A dev chain with sUDT, Omnilock, anyone-can-pay and the second multisig lock on it, each by its
/// own name and the locks with a dep group of the same name; and with `xudt`, if its file is named.
pub fn builder() -> Result<GenesisBuilder, WellKnownError> {
    let mut builder = Genesis::builder()
        .cell(SIMPLE_UDT.0, from_package(SIMPLE_UDT)?)
        .cell(OMNILOCK.0, from_package(OMNILOCK)?)
        .cell(ANYONE_CAN_PAY.0, from_package(ANYONE_CAN_PAY)?)
        .cell(MULTISIG_V2.0, multisig_v2()?);
    for (lock, _) in [OMNILOCK, ANYONE_CAN_PAY, MULTISIG_V2] {
        builder = builder.group(lock, &["secp256k1_data", lock]);
    }
    match std::env::var_os(XUDT_VARIABLE).filter(|file| !file.is_empty()) {
        Some(file) => Ok(builder.cell(XUDT.0, read(XUDT, Path::new(&file))?)),
        None => Ok(builder),
    }
}

fn multisig_v2() -> Result<Bytes, WellKnownError> {
    let bundled =
        ckb_system_scripts::BUNDLED_CELL.get("specs/cells/secp256k1_blake160_multisig_all");
    check(MULTISIG_V2, bundled.unwrap_or_default().into_owned())
}

/// The official SDK carries the programs as test data, and offers them in no other way.
fn from_package(program: (&'static str, &'static str)) -> Result<Bytes, WellKnownError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .map_err(|error| WellKnownError::Package(error.to_string()))?;
    let unread = |error: serde_json::Error| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        WellKnownError::Package(format!("{error}; {complaint}"))
    };
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(unread)?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .find(|package| package["name"] == "ckb-sdk")
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or_else(|| WellKnownError::Package("it is not among the packages".to_owned()))?;
    let data = Path::new(manifest).with_file_name("src").join("test-data");
    read(program, &data.join(program.0))
}

fn read(program: (&'static str, &'static str), file: &Path) -> Result<Bytes, WellKnownError> {
    let bytes =
        std::fs::read(file).map_err(|error| WellKnownError::File(file.to_owned(), error))?;
    check(program, bytes)
}

fn check(
    (name, wanted): (&'static str, &'static str),
    bytes: Vec<u8>,
) -> Result<Bytes, WellKnownError> {
    let found = format!("{:#x}", CellOutput::calc_data_hash(&bytes));
    if found == wanted {
        Ok(bytes.into())
    } else {
        Err(WellKnownError::Other { name, wanted, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_are_the_public_ones() {
        let genesis = builder().unwrap().build().unwrap();
        for (name, hash) in [SIMPLE_UDT, OMNILOCK, ANYONE_CAN_PAY, MULTISIG_V2] {
            assert_eq!(format!("{:#x}", genesis.cell(name).unwrap().data_hash), hash);
        }
    }

    #[test]
    fn another_program_under_a_known_name_is_refused() {
        let other = check(XUDT, vec![1, 2, 3]);
        assert!(matches!(other, Err(WellKnownError::Other { name: "xudt", .. })));
    }
}
