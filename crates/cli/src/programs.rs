//! The on-chain programs of this project, and a first block that holds them.
//!
//! The committed binaries are part of the program; the folder that `PERUN_SCRIPTS_DIR` names takes
//! their place, to try freshly built ones. The invariant: programs are run by the hash of their own
//! bytes, so which ones are used decides the hashes, and nothing else does.

use crate::problem::Problem;
use ckb_types::{
    bytes::Bytes,
    core::ScriptHashType,
    packed::{CellDep, Script},
    prelude::*,
};
use perun_channel::ChannelId;
use perun_channel::adjudicator::Env;
use perun_channel::hash::ckb_hash;
use perun_embedded_ckb::{Genesis, GenesisBuilder, GenesisError};
use std::path::Path;

/// The variable that names a folder of other programs.
pub const SCRIPTS_DIR: &str = "PERUN_SCRIPTS_DIR";

/// The names of the programs: of their files, and of their cells in the first block.
pub const CHANNEL_TYPE: &str = "channel-type";
/// The lock of channel cells and vaults.
pub const VAULT_LOCK: &str = "vault-lock";
/// A plain token.
pub const SIMPLE_UDT: &str = "simple-udt";

/// The three programs.
#[derive(Clone, Debug)]
pub struct Programs {
    channel_type: Bytes,
    vault_lock: Bytes,
    simple_udt: Bytes,
}

impl Programs {
    /// The programs that are built in.
    #[must_use]
    pub const fn built_in() -> Self {
        Self {
            channel_type: Bytes::from_static(include_bytes!(
                "../../../onchain/ckb/artifacts/channel-type"
            )),
            vault_lock: Bytes::from_static(include_bytes!(
                "../../../onchain/ckb/artifacts/vault-lock"
            )),
            simple_udt: Bytes::from_static(include_bytes!(
                "../../../onchain/ckb/artifacts/simple-udt"
            )),
        }
    }

    /// The programs of the folder that the environment names, or the ones that are built in.
    pub fn of_environment() -> Result<Self, Problem> {
        match std::env::var_os(SCRIPTS_DIR) {
            Some(folder) if !folder.is_empty() => Self::read(Path::new(&folder)),
            _ => Ok(Self::built_in()),
        }
    }

    /// The programs of a folder.
    pub fn read(folder: &Path) -> Result<Self, Problem> {
        let file = |name: &str| {
            let path = folder.join(name);
            let bytes = std::fs::read(&path).map_err(|error| Problem::Program { path, error })?;
            Ok::<_, Problem>(Bytes::from(bytes))
        };
        Ok(Self {
            channel_type: file(CHANNEL_TYPE)?,
            vault_lock: file(VAULT_LOCK)?,
            simple_udt: file(SIMPLE_UDT)?,
        })
    }

    /// The bytes of a program, by its name; none for other names.
    #[must_use]
    pub fn bytes(&self, name: &str) -> &[u8] {
        match name {
            CHANNEL_TYPE => &self.channel_type,
            VAULT_LOCK => &self.vault_lock,
            SIMPLE_UDT => &self.simple_udt,
            _ => &[],
        }
    }

    /// What the verdict must know of a chain with these programs.
    #[must_use]
    pub fn env(&self) -> Env {
        Env {
            channel_type: self.channel_type_script().calc_script_hash().into(),
            vault_code: ckb_hash(&[&self.vault_lock]),
        }
    }

    /// The type script of every channel cell.
    #[must_use]
    pub fn channel_type_script(&self) -> Script {
        script(&self.channel_type, &[])
    }

    /// The lock of a channel's cell and of its vaults.
    #[must_use]
    pub fn vault_lock_script(&self, id: &ChannelId) -> Script {
        let args = ckb_hash(&[&self.env().channel_type, id.as_bytes()]);
        script(&self.vault_lock, &args)
    }

    /// The type script of the plain token whose issuer has this lock.
    #[must_use]
    pub fn token_script(&self, issuer: &Script) -> Script {
        script(&self.simple_udt, issuer.calc_script_hash().as_slice())
    }

    /// The start of a first block with the programs in it; more can be added.
    #[must_use]
    pub fn genesis_builder(&self) -> GenesisBuilder {
        Genesis::builder()
            .cell(CHANNEL_TYPE, self.channel_type.clone())
            .cell(VAULT_LOCK, self.vault_lock.clone())
            .cell(SIMPLE_UDT, self.simple_udt.clone())
    }

    /// A first block with the programs in it.
    pub fn genesis(&self) -> Result<Genesis, GenesisError> {
        self.genesis_builder().build()
    }

    /// What a transaction depends on that touches channels, and plain tokens.
    #[must_use]
    pub fn deps(genesis: &Genesis) -> Vec<CellDep> {
        let names = [CHANNEL_TYPE, VAULT_LOCK, SIMPLE_UDT];
        names.iter().filter_map(|name| genesis.cell(name)).map(|cell| cell.dep()).collect()
    }
}

/// The script that runs this program, found by its bytes, on the newest machine.
fn script(program: &[u8], args: &[u8]) -> Script {
    Script::new_builder()
        .code_hash(ckb_hash(&[program]).pack())
        .hash_type(ScriptHashType::Data2)
        .args(Bytes::copy_from_slice(args))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use perun_channel::adjudicator::vault_lock_hash;

    #[test]
    fn the_built_in_programs_are_the_committed_ones() {
        let hashes = [
            (include_str!("../../../onchain/ckb/artifacts/channel-type.hash"), CHANNEL_TYPE),
            (include_str!("../../../onchain/ckb/artifacts/vault-lock.hash"), VAULT_LOCK),
            (include_str!("../../../onchain/ckb/artifacts/simple-udt.hash"), SIMPLE_UDT),
        ];
        let genesis = Programs::built_in().genesis().unwrap();
        for (hash, name) in hashes {
            let deployed = genesis.cell(name).unwrap();
            assert_eq!(
                crate::text::hex::full(deployed.data_hash.as_slice()),
                hash.trim(),
                "{name}"
            );
        }
        assert_eq!(Programs::deps(&genesis).len(), 3);
    }

    #[test]
    fn the_vault_lock_is_the_one_that_the_verdict_expects() {
        let programs = Programs::built_in();
        let id = ChannelId::new([7; 32]);
        let lock: [u8; 32] = programs.vault_lock_script(&id).calc_script_hash().into();
        assert_eq!(lock, vault_lock_hash(&programs.env(), &id));
    }

    #[test]
    fn a_folder_without_programs_is_named() {
        let problem = Programs::read(Path::new("/nowhere")).unwrap_err();
        let text = problem.to_string();
        assert!(text.contains("/nowhere/channel-type") && text.contains(SCRIPTS_DIR), "{text}");
    }
}
