//! What the project needs to know of one CKB chain: where its programs are and which tokens it
//! uses.
//!
//! A value of this type is configuration, read once. It holds no cell that anybody spends. The
//! invariant: channels name their programs by data hash, so a wrong entry here makes transactions
//! fail, never pay differently; [`Deployment::check`] finds such an entry before money is at stake.

use crate::Error;
use crate::money::{TOKEN_DATA, occupied, script_hash};
use crate::rpc::{Rpc, View};
use ckb_types::{
    bytes::Bytes,
    core::{BlockView, DepType, ScriptHashType},
    packed::{CellDep, CellOutput, OutPoint, Script},
    prelude::*,
};
use perun_channel::adjudicator::{Env, vault_lock_hash};
use perun_channel::hash::ckb_hash;
use perun_channel::{Asset, ChannelId};
use std::collections::BTreeMap;

/// Most tokens that one deployment knows.
pub const TOKENS_MAX: usize = 4_096;

/// A program on the chain, run by its data hash.
#[derive(Clone, Debug)]
pub struct CodeCell {
    /// The cell that holds it, or the dep group that names that cell.
    pub out_point: OutPoint,
    /// Which of the two.
    pub dep_type: DepType,
    /// The hash of the program.
    pub data_hash: [u8; 32],
}

impl CodeCell {
    /// The dependency on it.
    #[must_use]
    pub fn dep(&self) -> CellDep {
        dep(self.out_point.clone(), self.dep_type)
    }

    fn script(&self, args: &[u8]) -> Script {
        script(self.data_hash, ScriptHashType::Data2, args)
    }
}

/// The program of a lock, and what a transaction that spends such a lock depends on.
#[derive(Clone, Debug)]
pub struct LockCode {
    /// The code hash in the lock script.
    pub code_hash: [u8; 32],
    /// How the code is found by it.
    pub hash_type: ScriptHashType,
    /// The dependencies.
    pub deps: Vec<CellDep>,
}

impl LockCode {
    /// The lock with these arguments.
    #[must_use]
    pub fn script(&self, args: &[u8]) -> Script {
        script(self.code_hash, self.hash_type, args)
    }
}

/// A token that channels may hold.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its whole type script; the hash of it is the token's name.
    pub script: Script,
    /// What a transaction that moves it depends on.
    pub deps: Vec<CellDep>,
}

/// The programs, system locks and tokens of one chain.
#[derive(Clone, Debug)]
pub struct Deployment {
    genesis: [u8; 32],
    channel_type: CodeCell,
    vault_lock: CodeCell,
    secp256k1: LockCode,
    multisig: LockCode,
    tokens: BTreeMap<[u8; 32], Token>,
}

impl Deployment {
    /// A deployment on the chain with this first block, which also tells where the system locks
    /// are.
    pub fn new(
        genesis: &BlockView,
        channel_type: CodeCell,
        vault_lock: CodeCell,
    ) -> Result<Self, Error> {
        /// Where every chain's first block keeps its system cells: the outputs of the first
        /// transaction, and of the dep groups in the second.
        const SIGHASH: (usize, u32) = (1, 0);
        const MULTISIG: (usize, u32) = (4, 1);
        Ok(Self {
            genesis: genesis.hash().into(),
            channel_type,
            vault_lock,
            secp256k1: system_lock(genesis, SIGHASH).ok_or(Error::Deployment("standard lock"))?,
            multisig: system_lock(genesis, MULTISIG).ok_or(Error::Deployment("multisig lock"))?,
            tokens: BTreeMap::new(),
        })
    }

    /// Adds a token, and returns the asset that channels know it by.
    pub fn add_token(&mut self, token: Token) -> Result<Asset, Error> {
        if self.tokens.len() >= TOKENS_MAX {
            return Err(Error::BookFull { limit: TOKENS_MAX });
        }
        let name = script_hash(&token.script);
        self.tokens.insert(name, token);
        Ok(Asset::ckb_token(self.chain(), &name))
    }

    /// Refuses unless the chain behind `rpc` is this deployment's, with both programs where they
    /// should be.
    pub fn check(&self, rpc: &dyn Rpc) -> Result<(), Error> {
        let genesis: [u8; 32] = rpc.chain()?.genesis.hash().into();
        if genesis != self.genesis {
            return Err(Error::Deployment("first block"));
        }
        let programs =
            [(&self.channel_type, "channel type script"), (&self.vault_lock, "vault lock")];
        for (code, name) in programs {
            // A dep group names its members by out point; its own data says nothing of their code.
            if code.dep_type == DepType::DepGroup {
                continue;
            }
            let cell = rpc.live_cell(&code.out_point, View::Chain)?;
            let cell = cell.ok_or(Error::Deployment(name))?;
            if ckb_hash(&[&cell.data]) != code.data_hash {
                return Err(Error::Deployment(name));
            }
        }
        Ok(())
    }

    /// The number of this chain in signed assets: the first 8 bytes of its first block's hash.
    #[must_use]
    pub fn chain(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.genesis;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The native coin as channels know it.
    #[must_use]
    pub fn coin(&self) -> Asset {
        Asset::ckb(self.chain())
    }

    /// What the verdict must know of this chain.
    #[must_use]
    pub fn env(&self) -> Env {
        Env {
            channel_type: script_hash(&self.channel_type_script()),
            vault_code: self.vault_lock.data_hash,
        }
    }

    /// The type script of every channel cell.
    #[must_use]
    pub fn channel_type_script(&self) -> Script {
        self.channel_type.script(&[])
    }

    /// The lock of a channel's cell and of its vaults.
    #[must_use]
    pub fn vault_lock_script(&self, id: &ChannelId) -> Script {
        let args = ckb_hash(&[&self.env().channel_type, id.as_bytes()]);
        let lock = self.vault_lock.script(&args);
        debug_assert_eq!(script_hash(&lock), vault_lock_hash(&self.env(), id));
        lock
    }

    /// The program of the channel type script.
    #[must_use]
    pub const fn channel_type(&self) -> &CodeCell {
        &self.channel_type
    }

    /// The program of the vault lock.
    #[must_use]
    pub const fn vault_lock(&self) -> &CodeCell {
        &self.vault_lock
    }

    /// The standard single-key lock.
    #[must_use]
    pub const fn secp256k1(&self) -> &LockCode {
        &self.secp256k1
    }

    /// The multi-key lock of the first block.
    #[must_use]
    pub const fn multisig(&self) -> &LockCode {
        &self.multisig
    }

    /// The token with this name.
    pub fn token(&self, name: &[u8; 32]) -> Result<&Token, Error> {
        self.tokens.get(name).ok_or(Error::TokenUnknown(*name))
    }

    /// What a vault of this token occupies, hence holds.
    pub fn vault_capacity(&self, token: &[u8; 32]) -> Result<u64, Error> {
        let lock = self.vault_lock_script(&ChannelId::new([0; 32]));
        Ok(occupied(&lock, Some(&self.token(token)?.script), TOKEN_DATA))
    }
}

fn script(code_hash: [u8; 32], hash_type: ScriptHashType, args: &[u8]) -> Script {
    Script::new_builder()
        .code_hash(code_hash.pack())
        .hash_type(hash_type)
        .args(Bytes::copy_from_slice(args))
        .build()
}

fn dep(out_point: OutPoint, dep_type: DepType) -> CellDep {
    CellDep::new_builder().out_point(out_point).dep_type(dep_type).build()
}

fn system_lock(genesis: &BlockView, (code, group): (usize, u32)) -> Option<LockCode> {
    let output: CellOutput = genesis.transaction(0)?.outputs().get(code)?;
    let groups = genesis.transaction(1)?;
    groups.outputs().get(usize::try_from(group).ok()?)?;
    Some(LockCode {
        code_hash: script_hash(&output.type_().to_opt()?),
        hash_type: ScriptHashType::Type,
        deps: vec![dep(OutPoint::new(groups.hash(), group), DepType::DepGroup)],
    })
}
