//! Owners: the locks whose cells we spend, and the signatures that open them.
//!
//! A [`Wallet`] signs inputs of transactions. It is not the session key of a channel, which signs
//! states and consents and lives elsewhere, and it finds no cells. The invariant: a secret key
//! leaves this module in no form but signatures; it is not printed, and it is overwritten when its
//! holder is dropped.

mod key;
mod multisig;
mod omnilock;

pub use key::{Secp256k1, SigningKey};
pub use multisig::Multisig;
pub use omnilock::{Omnilock, OmnilockAuth};

use crate::Error;
use crate::money::script_hash;
use crate::tx::Resolved;
use ckb_types::{
    core::TransactionView,
    packed::{CellDep, Script},
    prelude::*,
};
use perun_channel::adjudicator::{WitnessArgs, WitnessField};
use perun_channel::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use perun_channel::hash::ckb_hash;

/// Most bytes of one lock's witness. The largest here, a multi-key lock of 255 keys, has 21.7 KB.
pub const LOCK_WITNESS_MAX: usize = 32_768;

/// One lock of a wallet and what it takes to spend its cells.
#[derive(Clone, Debug)]
pub struct OwnedLock {
    /// The lock script.
    pub script: Script,
    /// What inputs under it say in `since`; zero unless the lock is closed until a time.
    pub since: u64,
    /// The bytes of its witness, for fees and placeholders.
    pub witness_length: usize,
    /// What a transaction that spends it depends on.
    pub deps: Vec<CellDep>,
    /// Whether an input under it proves that the owner agrees to the whole transaction.
    pub signs_all: bool,
}

/// An owner of cells.
pub trait Wallet: Send + Sync {
    /// The locks it owns. The first one receives change.
    fn locks(&self) -> &[OwnedLock];

    /// The witness of the lock at this position for its inputs at `group`. The transaction is final
    /// but for lock witnesses; the first of the group must be a placeholder of the right length.
    fn sign(&self, lock: usize, tx: &TransactionView, group: &[usize]) -> Result<Vec<u8>, Error>;
}

/// The witness that opens the inputs of one lock, and the input that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockWitness {
    /// The first input of the lock's group.
    pub input: u16,
    /// The lock's bytes in that input's witness.
    pub lock: Vec<u8>,
}

impl Encode for LockWitness {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.input.to_le_bytes());
        put_bytes(out, &self.lock);
    }
}

impl Decode for LockWitness {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { input: reader.u16()?, lock: reader.bytes(LOCK_WITNESS_MAX)? })
    }
}

/// Signs every input of the transaction that is under one of the wallet's locks.
pub fn sign_inputs(wallet: &dyn Wallet, spent: &Resolved) -> Result<Vec<LockWitness>, Error> {
    let mut signed = Vec::new();
    for (position, lock) in wallet.locks().iter().enumerate() {
        let group = spent.inputs_under(&script_hash(&lock.script));
        let Some(&first) = group.first() else { continue };
        let placeholder = vec![0; lock.witness_length];
        let tx = with_lock_witness(&spent.tx, first, &placeholder)?;
        let bytes = wallet.sign(position, &tx, &group)?;
        let input = u16::try_from(first).map_err(|_| Error::LockWitness)?;
        signed.push(LockWitness { input, lock: bytes });
    }
    Ok(signed)
}

/// The transaction with these lock witnesses filled in. Nothing else of it changes.
pub fn fill(tx: &TransactionView, locks: &[LockWitness]) -> Result<TransactionView, Error> {
    locks.iter().try_fold(tx.clone(), |tx, witness| {
        with_lock_witness(&tx, usize::from(witness.input), &witness.lock)
    })
}

fn with_lock_witness(
    tx: &TransactionView,
    input: usize,
    lock: &[u8],
) -> Result<TransactionView, Error> {
    let mut witnesses: Vec<_> = tx.witnesses().into_iter().collect();
    witnesses.resize(witnesses.len().max(tx.inputs().len()), ckb_types::packed::Bytes::default());
    let witness = witnesses.get_mut(input).ok_or(Error::LockWitness)?;
    let old = witness.raw_data();
    let part = |field| WitnessArgs::field(&old, field).map(<[u8]>::to_vec);
    let args = WitnessArgs {
        lock: Some(lock.to_vec()),
        input_type: part(WitnessField::InputType),
        output_type: part(WitnessField::OutputType),
    };
    *witness = args.serialize().pack();
    Ok(tx.as_advanced_builder().set_witnesses(witnesses).build())
}

/// What the system locks sign: the transaction, their own group's witnesses and those beyond the
/// inputs. The lock's bytes in the first witness of the group stand as they are.
pub(crate) fn sighash_all(tx: &TransactionView, group: &[usize]) -> [u8; 32] {
    let hash: [u8; 32] = tx.hash().into();
    let witnesses = tx.witnesses();
    let beyond = tx.inputs().len()..witnesses.len();
    let mut parts = vec![hash.to_vec()];
    for index in group.iter().copied().chain(beyond) {
        let witness = witnesses.get(index).map(|it| it.raw_data()).unwrap_or_default();
        let length = u64::try_from(witness.len()).unwrap_or(u64::MAX);
        parts.push(length.to_le_bytes().to_vec());
        parts.push(witness.to_vec());
    }
    ckb_hash(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The transaction with other bytes for the lock in the first witness of the group.
pub(crate) fn with_placeholder(
    tx: &TransactionView,
    group: &[usize],
    lock: &[u8],
) -> Result<TransactionView, Error> {
    let first = group.first().ok_or(Error::LockWitness)?;
    with_lock_witness(tx, *first, lock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ckb_types::{core::TransactionBuilder, packed::CellInput};

    #[test]
    fn a_lock_witness_changes_nothing_but_the_locks_bytes() {
        let script = WitnessArgs { output_type: Some(vec![7; 9]), ..WitnessArgs::default() };
        let tx = TransactionBuilder::default()
            .inputs(vec![CellInput::default(); 2])
            .witnesses([script.serialize().pack(), Default::default(), [5u8].pack()])
            .build();
        let signed = fill(&tx, &[LockWitness { input: 0, lock: vec![1; 65] }]).unwrap();
        let first = signed.witnesses().get(0).unwrap().raw_data();
        assert_eq!(WitnessArgs::field(&first, WitnessField::Lock), Some(&[1; 65][..]));
        assert_eq!(WitnessArgs::field(&first, WitnessField::OutputType), Some(&[7; 9][..]));
        let rest = |tx: &TransactionView| tx.witnesses().into_iter().skip(1).collect::<Vec<_>>();
        assert_eq!((signed.hash(), rest(&signed)), (tx.hash(), rest(&tx)));
        let outside = LockWitness { input: 3, lock: Vec::new() };
        assert_eq!(fill(&tx, &[outside]).unwrap_err(), Error::LockWitness);
    }

    #[test]
    fn a_signature_covers_its_group_and_what_lies_beyond_the_inputs() {
        let tx = |witnesses: [u8; 3]| {
            TransactionBuilder::default()
                .inputs(vec![CellInput::default(); 2])
                .witnesses(witnesses.map(|byte| [byte].pack()))
                .build()
        };
        let digest = sighash_all(&tx([1, 2, 3]), &[0]);
        assert_eq!(digest, sighash_all(&tx([1, 9, 3]), &[0]), "another group's witness");
        assert_ne!(digest, sighash_all(&tx([9, 2, 3]), &[0]));
        assert_ne!(digest, sighash_all(&tx([1, 2, 9]), &[0]));
    }
}
