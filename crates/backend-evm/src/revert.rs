//! What a contract gave back when it reverted, in words.
//!
//! The hub has one error for each of its rules; here each has a sentence about the money. Older
//! contracts, tokens and the compiler have other forms. The invariant: whatever the bytes are,
//! there is a reason to show, of bounded length.

use std::fmt;

use alloy_primitives::Bytes;
use alloy_sol_types::{Panic, Revert as Said, SolError};

use crate::abi::solidity::HubErrors as H;

/// Most characters of a sentence that a contract wrote.
const SENTENCE_MAX: usize = 200;

/// Why a call reverted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    name: String,
    meaning: &'static str,
    data: Bytes,
}

impl Revert {
    /// Reads what a contract gave back.
    #[must_use]
    pub fn read(data: &[u8]) -> Self {
        let (name, meaning) = reason(data);
        let data = data.get(..data.len().min(SENTENCE_MAX)).unwrap_or_default();
        Self { name, meaning, data: Bytes::copy_from_slice(data) }
    }

    /// The error's name, or the contract's own sentence.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it means for the money.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        self.meaning
    }

    /// Whether it is this error of the hub.
    #[must_use]
    pub fn is<E: SolError>(&self) -> bool {
        self.data.starts_with(&E::SELECTOR)
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the contract would refuse this: {} ({})", self.meaning, self.name)
    }
}

fn reason(data: &[u8]) -> (String, &'static str) {
    let Some(selector) = data.first_chunk::<4>() else {
        return ("no reason given".to_owned(), "a contract stopped without saying why");
    };
    if let Some((_, name, meaning)) = TABLE.iter().find(|(one, _, _)| one == selector) {
        return ((*name).to_owned(), meaning);
    }
    if let Ok(said) = Said::abi_decode(data) {
        // What a stranger's contract writes is shown, but not at any length nor with its controls.
        let told = said.reason.chars().filter(|one| !one.is_control()).take(SENTENCE_MAX);
        return (told.collect(), "a contract said so");
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return (format!("panic {:#x}", panic.code), "a contract met what it must never meet");
    }
    (alloy_primitives::hex::encode_prefixed(selector), "a contract gave an unknown reason")
}

/// Selector, name and meaning.
type Row = ([u8; 4], &'static str, &'static str);

macro_rules! table {
    ($($name:ident: $meaning:literal,)*) => {
        &[$((H::$name::SELECTOR, stringify!($name), $meaning)),*]
    };
}

const TABLE: &[Row] = table! {
    ParticipantCount: "a channel has 2 to 16 participants",
    DuplicateParticipant: "two participants share one signing address, so one key could take all",
    ZeroParticipant: "a participant has no signing address and could never be paid",
    ChallengeDuration: "the challenge duration is not between 30 minutes and a year",
    AssetCount: "a channel has 1 to 16 assets",
    DuplicateAsset: "the same asset is listed twice, so it would be paid twice",
    BalanceShape: "balances are not one row per asset and one column per participant",
    LockedCount: "a state has at most 32 locked entries",
    DuplicateLocked: "two locked entries name the same channel",
    LockedShape: "a locked entry does not fit the channel's assets or participants",
    DataLength: "app data is longer than 1024 bytes",
    ForeignBytes: "a ledger identity is longer than 128 bytes",
    Amount: "an amount or a sum leaves the range of 128 bits",
    Version: "the state is not newer than the registered one, which stays",
    Index: "there is no participant with this number",
    FinalWithLocked: "a final state still has amounts locked in other channels",
    Data: "the app data is neither a swap nor an app's",
    NotCanonical: "the arguments are not spelt as they are hashed and signed",
    ChannelId: "the state belongs to another channel than the parameters",
    SignatureCount: "there is not one signature per participant",
    BadSignature: "a signature is missing, misspelt or somebody else's; the state proves nothing",
    NotLedger: "only a channel funded on the ledger can be registered or concluded like this",
    ChildIsLedger: "a channel locked inside another must not be a ledger channel",
    VirtualChannel: "a virtual channel has an app or locks amounts",
    WrongChild: "a locked channel's state is missing, or another stands in its place",
    Assets: "a locked channel has other assets than its parent",
    Sum: "a locked channel's amounts are not what is locked for it",
    ChildParticipants: "a locked channel's participants are not its parent's",
    TreeDepth: "more than four levels at once; register the lower ones first",
    TooManyChildren: "more states are given than the channel locks",
    WrongPhase: "the channel is in forced execution or concluded; the registered state stays",
    RefutationOver: "the time to show a newer state is over; the registered one decides",
    NotRegistered: "nothing is registered for the channel, so nothing can be concluded",
    WrongState: "another state is registered than the one given",
    AlreadyConcluded: "the channel is concluded; what it owes can be withdrawn",
    WindowOpen: "the time to show newer states is not over; wait",
    WindowOver: "the time for the next step is over; conclude",
    NoApp: "the channel has no app, so no step can be forced",
    Final: "the state is final; nothing follows it",
    NotFinal: "the state is not final; register it instead",
    Locked: "a step changed what is locked",
    SwapPending: "a swap is pending: show its preimage, or wait until it expires",
    NoSwap: "no swap of this chain is pending in the state",
    WrongPreimage: "the preimage does not open the swap's lock",
    CoinAmount: "the coins sent are not what the deposits say",
    TokenDelta: "the token did not move what it said; such a token would lose deposits",
    UnknownHolder: "the hub knows no token by this address",
    WrongSource: "this way of paying does not fit the asset",
    NotConcluded: "the channel is not concluded, so nothing can be withdrawn yet",
    Insufficient: "less is there than asked for; it may have been paid already",
    NotFullHolding: "this authorisation is only good for exactly what is held",
    AlreadyUsed: "the authorisation was used before; the money was paid then",
    DeadlineOver: "the authorisation is too old; sign a new one",
    Fee: "the fee is larger than the amount",
    PaymentFailed: "the receiver refused the payment; name another receiver",
    GasForPayment: "too little gas was given to pay everybody safely",
    PayeeBound: "another payee is bound already; the channel pays to that one",
    ZeroAddress: "nobody has the zero address",
    MoveTarget: "a movement goes neither to an account nor to a deposit, or to both",
    ListLength: "two lists that belong together have different lengths",
    NoFunction: "the contract has no such function",
};

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use alloy_sol_types::SolInterface;

    #[test]
    fn every_error_of_the_hub_has_its_own_sentence() {
        assert_eq!(TABLE.len(), H::HubErrorsErrors::COUNT);
        for (position, (selector, name, _)) in TABLE.iter().enumerate() {
            assert!(!TABLE[..position].iter().any(|(one, _, _)| one == selector), "{name}");
            assert_eq!(Revert::read(selector).name(), *name);
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let revert = Revert::read(&H::AlreadyConcluded {}.abi_encode());
        assert!(revert.is::<H::AlreadyConcluded>() && !revert.is::<H::Version>());
        assert!(revert.to_string().contains("AlreadyConcluded"));
    }

    #[test]
    fn other_forms_are_shown_and_bounded() {
        let said = Revert::read(&Said::from("x".repeat(10_000)).abi_encode());
        assert_eq!(said.name().len(), SENTENCE_MAX);
        let escape = Revert::read(&Said::from("a\u{1b}[2Jb\n").abi_encode());
        assert_eq!(escape.name(), "a[2Jb");
        let panicked = Revert::read(&Panic { code: U256::from(0x11) }.abi_encode());
        assert_eq!(panicked.name(), "panic 0x11");
        assert_eq!(Revert::read(&[]).name(), "no reason given");
        assert_eq!(Revert::read(&[1, 2, 3]).name(), "no reason given");
        assert_eq!(Revert::read(&[0xde, 0xad, 0xbe, 0xef, 9]).name(), "0xdeadbeef");
    }
}
