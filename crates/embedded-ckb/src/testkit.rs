//! Keys, signatures and plain payments for tests and demonstrations.
//!
//! Enough to fund users and to spend with the standard single-key lock; no wallet: it selects cells
//! greedily and keeps nothing. The invariant: what it builds is complete, so that a refusal is
//! about what the test changed.

use crate::genesis::Genesis;
use ckb_hash::{blake2b_256, new_blake2b};
use ckb_types::{
    bytes::Bytes,
    core::{Capacity, TransactionBuilder, TransactionView},
    packed::{CellDep, CellInput, CellOutput, Script, WitnessArgs},
    prelude::*,
};
use perun_backend_ckb::rpc::{Cell, Page, Rpc, RpcError, SearchKey};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

/// Shannons in one CKB.
pub const CKB: u64 = 100_000_000;

/// The bytes of a recoverable signature, as the lock wants it: r, s, recovery id.
pub const SIGNATURE_BYTES: usize = 65;

/// The two funded keys of the bundled dev spec. They are public.
const DEV_KEYS: [[u8; 32]; 2] = [
    [
        0xd0, 0x0c, 0x06, 0xbf, 0xd8, 0x00, 0xd2, 0x73, 0x97, 0x00, 0x2d, 0xca, 0x6f, 0xb0, 0x99,
        0x3d, 0x5b, 0xa6, 0x39, 0x9b, 0x42, 0x38, 0xb2, 0xf2, 0x9e, 0xe9, 0xde, 0xb9, 0x75, 0x93,
        0xd2, 0xbc,
    ],
    [
        0x63, 0xd8, 0x67, 0x23, 0xe0, 0x8f, 0x0f, 0x81, 0x3a, 0x36, 0xce, 0x6a, 0xa1, 0x23, 0xbb,
        0x22, 0x89, 0xd9, 0x06, 0x80, 0xae, 0x1e, 0x99, 0xd4, 0xde, 0x8c, 0xdb, 0x33, 0x45, 0x53,
        0xf2, 0x4d,
    ],
];

/// A secret key with the standard lock's signature.
#[derive(Clone, Debug)]
pub struct Key(SecretKey);

impl Key {
    /// One of the two funded keys of the dev chain: 20 billion CKB at 0, 5 billion at 1.
    #[must_use]
    pub fn dev(second: bool) -> Self {
        let [first, other] = DEV_KEYS;
        // Both are valid: the dev chain was made with them.
        Self::new(if second { other } else { first }).unwrap_or_else(|| Self::number(1))
    }

    /// The key with this number, for any number of different test users. Zero is taken as one.
    #[must_use]
    pub fn number(number: u32) -> Self {
        let mut bytes = [0; 32];
        bytes[28..].copy_from_slice(&number.max(1).to_be_bytes());
        Self(SecretKey::from_slice(&bytes).expect("a number from 1 to 2^32 is below the order"))
    }

    /// The key with these bytes, if they are one.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Option<Self> {
        SecretKey::from_slice(&bytes).ok().map(Self)
    }

    /// The key's bytes. Test keys are no secrets.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.0.secret_bytes()
    }

    /// The first 20 bytes of the hash of the compressed public key.
    #[must_use]
    pub fn hash(&self) -> [u8; 20] {
        let public = PublicKey::from_secret_key(SECP256K1, &self.0).serialize();
        let mut hash = [0; 20];
        hash.copy_from_slice(&blake2b_256(public)[..20]);
        hash
    }

    /// The standard lock of this key.
    #[must_use]
    pub fn lock(&self, genesis: &Genesis) -> Script {
        genesis.sighash_lock(self.hash())
    }

    /// A recoverable signature of a digest.
    #[must_use]
    pub fn sign_digest(&self, digest: [u8; 32]) -> [u8; SIGNATURE_BYTES] {
        let signed = SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(digest), &self.0);
        let (recovery, compact) = signed.serialize_compact();
        let mut signature = [0; SIGNATURE_BYTES];
        signature[..64].copy_from_slice(&compact);
        // Recovery ids are 0 to 3.
        signature[64] = u8::try_from(i32::from(recovery)).unwrap_or_default();
        signature
    }

    /// Signs the inputs at these places, which all have this key's lock, and fills in their
    /// witness. Other witnesses must be final already: the signature covers those of the group, and
    /// those beyond the inputs.
    #[must_use]
    pub fn sign(&self, tx: &TransactionView, group: &[usize]) -> TransactionView {
        let Some(&first) = group.first() else { return tx.clone() };
        let mut witnesses: Vec<Bytes> =
            tx.witnesses().into_iter().map(|it| it.raw_data()).collect();
        witnesses.resize(witnesses.len().max(tx.inputs().len()), Bytes::new());
        let args = WitnessArgs::from_slice(&witnesses[first]).unwrap_or_default();
        let with_lock = |lock: &[u8]| {
            let lock = Some(Bytes::copy_from_slice(lock)).pack();
            args.clone().as_builder().lock(lock).build().as_bytes()
        };
        witnesses[first] = with_lock(&[0; SIGNATURE_BYTES]);
        let beyond = tx.inputs().len()..witnesses.len();
        let mut hasher = new_blake2b();
        hasher.update(tx.hash().as_slice());
        for index in group.iter().copied().chain(beyond) {
            let witness = &witnesses[index];
            hasher.update(&(witness.len() as u64).to_le_bytes());
            hasher.update(witness);
        }
        let mut digest = [0; 32];
        hasher.finalize(&mut digest);
        witnesses[first] = with_lock(&self.sign_digest(digest));
        let witnesses = witnesses.into_iter().map(|it| it.pack()).collect();
        tx.as_advanced_builder().set_witnesses(witnesses).build()
    }
}

/// What a payment did not have.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// The node did not answer or refused.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The key's plain cells do not hold enough.
    #[error("the key has {have} shannons in plain cells, {need} are needed")]
    Funds {
        /// What is there.
        have: u64,
        /// What is needed, fee included.
        need: u64,
    },
}

/// Builds transactions that one key pays for.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Cells to make, with their data.
    pub outputs: Vec<(CellOutput, Bytes)>,
    /// Dependencies beside the one of the standard lock.
    pub deps: Vec<CellDep>,
    /// What the miner gets, in shannons.
    pub fee: u64,
}

/// A fee that is enough for any payment of a few cells.
pub const FEE: u64 = 10_000;

impl Payment {
    /// Pays this much to a lock.
    #[must_use]
    pub fn to(lock: Script, shannons: u64) -> Self {
        Self::new(vec![(plain(lock, shannons), Bytes::new())])
    }

    /// Makes these cells.
    #[must_use]
    pub fn new(outputs: Vec<(CellOutput, Bytes)>) -> Self {
        Self { outputs, deps: Vec::new(), fee: FEE }
    }

    /// The transaction, paid from the key's committed cells without type and data, and signed. What
    /// is left over goes back to the key.
    pub fn build(
        &self,
        rpc: &dyn Rpc,
        genesis: &Genesis,
        key: &Key,
    ) -> Result<TransactionView, PayError> {
        let lock = key.lock(genesis);
        let made: u64 = self.outputs.iter().map(|(output, _)| shannons(output)).sum();
        let change = plain(lock.clone(), 0);
        let change_least =
            change.occupied_capacity(Capacity::zero()).map_or(u64::MAX, Capacity::as_u64);
        let need = made.saturating_add(self.fee).saturating_add(change_least);
        let (cells, have) = plain_cells(rpc, lock, need)?;
        if have < need {
            return Err(PayError::Funds { have, need });
        }
        Ok(self.spend(genesis, key, &cells))
    }

    /// The transaction that spends exactly these cells of the key, pending ones too.
    #[must_use]
    pub fn spend(&self, genesis: &Genesis, key: &Key, cells: &[Cell]) -> TransactionView {
        let have: u64 = cells.iter().map(|cell| shannons(&cell.output)).sum();
        let made: u64 = self.outputs.iter().map(|(output, _)| shannons(output)).sum();
        let rest = have.saturating_sub(made).saturating_sub(self.fee);
        let mut outputs = self.outputs.clone();
        if rest > 0 {
            outputs.push((plain(key.lock(genesis), rest), Bytes::new()));
        }
        let inputs = cells.iter().map(|cell| CellInput::new(cell.out_point.clone(), 0));
        let (outputs, data): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let tx = TransactionBuilder::default()
            .cell_dep(genesis.sighash_dep())
            .cell_deps(self.deps.clone())
            .inputs(inputs)
            .outputs(outputs)
            .outputs_data(data.into_iter().map(|data| data.pack()))
            .build();
        key.sign(&tx, &(0..cells.len()).collect::<Vec<_>>())
    }
}

/// A cell of money and nothing else.
#[must_use]
pub fn plain(lock: Script, shannons: u64) -> CellOutput {
    CellOutput::new_builder().capacity(shannons).lock(lock).build()
}

/// The capacity of an output.
#[must_use]
pub fn shannons(output: &CellOutput) -> u64 {
    output.capacity().into()
}

/// The cell that a transaction makes at this index, committed or not.
#[must_use]
pub fn output_cell(tx: &TransactionView, index: u32) -> Option<Cell> {
    let (output, data) = tx.output_with_data(index as usize)?;
    let out_point = ckb_types::packed::OutPoint::new(tx.hash(), index);
    Some(Cell { out_point, output, data })
}

/// Most pages of cells that are looked through for money.
const PAGES_MAX: usize = 100;

fn plain_cells(rpc: &dyn Rpc, lock: Script, need: u64) -> Result<(Vec<Cell>, u64), RpcError> {
    let key = SearchKey::lock(lock);
    let (mut cells, mut have, mut after) = (Vec::new(), 0u64, None);
    for _ in 0..PAGES_MAX {
        let Page { rows, next } = rpc.cells(&key, after.as_ref(), 100)?;
        for row in rows {
            let cell = row.cell;
            if have < need && cell.data.is_empty() && cell.output.type_().to_opt().is_none() {
                have = have.saturating_add(shannons(&cell.output));
                cells.push(cell);
            }
        }
        after = next;
        if have >= need || after.is_none() {
            break;
        }
    }
    Ok((cells, have))
}
