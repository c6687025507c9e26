//! The 116 bytes of a channel cell: who it is, where it stands, and which state it holds, by hash.

use alloc::vec::Vec;

use super::Code;
use crate::codec::{DecodeError, Reader};
use crate::{ChannelId, Version};

/// The length of a channel cell's data.
pub const CHANNEL_DATA_LENGTH: usize = 116;
/// What a channel cell occupies, in shannons: 8 bytes of capacity, 65 of lock, 33 of type, 116 of
/// data.
pub const MIN_CHANNEL_CAPACITY: u64 = 222 * 100_000_000;

/// The number of this layout.
const FORMAT: u8 = 2;
/// The cell of a ledger channel. Cells of virtual channels will be kind 2.
const KIND_CHANNEL: u8 = 1;

/// Where a channel stands on its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Some participants have deposited, not all.
    Funding,
    /// All deposits are in; the stored state is version 0.
    Open,
    /// A state was registered; newer ones can replace it until the challenge ends.
    Disputed,
    /// The outcome is fixed and partly paid; some token rows wait.
    Concluded,
}

impl Phase {
    /// The number in the cell. 3 is kept for forced execution of app channels.
    const fn number(self) -> u8 {
        match self {
            Self::Funding => 0,
            Self::Open => 1,
            Self::Disputed => 2,
            Self::Concluded => 4,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Funding),
            1 => Some(Self::Open),
            2 => Some(Self::Disputed),
            4 => Some(Self::Concluded),
            _ => None,
        }
    }
}

/// Who carries a registration: the participant itself, or somebody it handed one authorisation to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotKind {
    /// The participant's own registration.
    Own,
    /// The registration of the participant's delegate (a watchtower).
    Delegate,
}

/// One right to register: each participant has two in each dispute, and each is used up by use, so
/// that nobody can stand in the way of others once per old state that he kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The participant's index.
    pub participant: u8,
    /// Which of its two rights.
    pub kind: SlotKind,
}

impl Slot {
    /// The slot's number: twice the participant's index, plus one for the delegate.
    #[must_use]
    pub const fn number(self) -> u8 {
        let delegate = match self.kind {
            SlotKind::Own => 0,
            SlotKind::Delegate => 1,
        };
        self.participant.saturating_mul(2).saturating_add(delegate)
    }

    /// The slot with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        let kind = if number & 1 == 0 { SlotKind::Own } else { SlotKind::Delegate };
        Self { participant: number >> 1, kind }
    }

    /// The slot's bit among the marks of a disputed cell.
    pub(super) fn mark(self) -> Option<u32> {
        1u32.checked_shl(u32::from(self.number()))
    }
}

/// The contents of a channel cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChannelCell {
    /// Where the channel stands.
    pub phase: Phase,
    /// One bit each. Funding: participants who deposited. Disputed: registration slots used.
    /// Concluded: token rows not yet paid. Open: none.
    pub marks: u32,
    /// The channel's id.
    pub id: ChannelId,
    /// The hash of the stored state.
    pub state_hash: [u8; 32],
    /// The version of the stored state.
    pub version: Version,
    /// Concluded: whether the preimage of the state's swap was shown, so that its legs on this
    /// ledger move in the rows that are not yet paid too. Else false.
    pub claimed: bool,
}

impl ChannelCell {
    /// The cell's data.
    #[must_use]
    pub fn to_data(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(CHANNEL_DATA_LENGTH);
        let claimed = u8::from(self.claimed);
        data.extend_from_slice(&[FORMAT, KIND_CHANNEL, self.phase.number(), claimed]);
        data.extend_from_slice(&self.marks.to_le_bytes());
        data.extend_from_slice(self.id.as_bytes());
        data.extend_from_slice(&self.state_hash);
        data.extend_from_slice(&self.version.get().to_le_bytes());
        // Resolved locked entries and the list of virtual channels: none in this script.
        data.resize(CHANNEL_DATA_LENGTH, 0);
        data
    }

    /// Reads a cell's data; only the one spelling of a cell is accepted.
    pub fn from_data(data: &[u8]) -> Result<Self, Code> {
        Self::read(data).ok().flatten().ok_or(Code::CellData)
    }

    /// The channel id that a cell's data would carry, well-formed or not. The vault lock needs only
    /// it.
    #[must_use]
    pub(super) fn id_in(data: &[u8]) -> Option<&[u8; 32]> {
        data.get(8..)?.first_chunk()
    }

    fn read(data: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut reader = Reader::new(data);
        let [format, kind, phase] = reader.array()?;
        let claimed = reader.flag()?;
        let marks = reader.u32()?;
        let id = ChannelId::new(reader.array()?);
        let state_hash = reader.array()?;
        let version = Version::new(reader.u64()?);
        let resolved: [u8; 36] = reader.array()?;
        reader.finish()?;
        let well_formed = format == FORMAT && kind == KIND_CHANNEL && resolved == [0; 36];
        let phase = Phase::from_number(phase)
            .filter(|phase| well_formed && (!claimed || *phase == Phase::Concluded));
        Ok(phase.map(|phase| Self { phase, marks, id, state_hash, version, claimed }))
    }
}
