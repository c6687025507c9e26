//! `WitnessArgs`, the chain's envelope for witnesses: a Molecule table of three optional byte
//! strings.
//!
//! Read strictly and without copying; a witness that is not exactly this table carries nothing for
//! us.

use alloc::vec::Vec;

/// Which byte string of the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WitnessField {
    /// For the lock script of the input at the same index.
    Lock,
    /// For the type script of the input at the same index.
    InputType,
    /// For the type script of the output at the same index.
    OutputType,
}

/// The three byte strings of a witness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WitnessArgs {
    /// For the input's lock.
    pub lock: Option<Vec<u8>>,
    /// For the input's type.
    pub input_type: Option<Vec<u8>>,
    /// For the output's type.
    pub output_type: Option<Vec<u8>>,
}

/// Full size and three offsets.
const HEADER: usize = 16;

impl WitnessArgs {
    /// The bytes of one field, if the witness is well-formed and has it.
    #[must_use]
    pub fn field(witness: &[u8], field: WitnessField) -> Option<&[u8]> {
        let (header, _) = witness.split_first_chunk::<HEADER>()?;
        let word = |at: usize| -> Option<usize> {
            let bytes: [u8; 4] = header.get(at..at.checked_add(4)?)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let (total, lock, input, output) = (word(0)?, word(4)?, word(8)?, word(12)?);
        if total != witness.len() || lock != HEADER {
            return None;
        }
        let lock_bytes = optional_bytes(witness.get(lock..input)?)?;
        let input_bytes = optional_bytes(witness.get(input..output)?)?;
        let output_bytes = optional_bytes(witness.get(output..total)?)?;
        match field {
            WitnessField::Lock => lock_bytes,
            WitnessField::InputType => input_bytes,
            WitnessField::OutputType => output_bytes,
        }
    }

    /// The witness with these fields, as the chain serializes it.
    #[must_use]
    pub fn serialize(&self) -> Vec<u8> {
        let fields = [&self.lock, &self.input_type, &self.output_type];
        let mut body = Vec::new();
        let mut offsets = Vec::new();
        for field in fields {
            offsets.extend_from_slice(&word(HEADER.saturating_add(body.len())));
            if let Some(bytes) = field {
                body.extend_from_slice(&word(bytes.len()));
                body.extend_from_slice(bytes);
            }
        }
        let mut out = word(HEADER.saturating_add(body.len())).to_vec();
        out.append(&mut offsets);
        out.append(&mut body);
        out
    }
}

/// An optional byte string: nothing, or its length and exactly that many bytes.
/// The outer option is well-formedness, the inner one presence.
fn optional_bytes(field: &[u8]) -> Option<Option<&[u8]>> {
    if field.is_empty() {
        return Some(None);
    }
    let (length, bytes) = field.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    (length == bytes.len()).then_some(Some(bytes))
}

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}
