//! Every reason for which a transaction is refused, as the small number that the script exits with.
//!
//! Numbers are written out and never reused; 0 is acceptance and stands for no variant.

macro_rules! codes {
    ($($number:literal $name:ident $text:literal,)*) => {
        /// Why the verdict refuses a transaction. One variant per rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i8)]
        pub enum Code {
            $(#[doc = $text] $name = $number,)*
        }

        impl Code {
            /// All codes, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The script's exit code.
            #[must_use]
            pub const fn exit_code(self) -> i8 {
                match self { $(Self::$name => $number),* }
            }

            /// The code with this exit number, if there is one.
            #[must_use]
            pub const fn from_exit_code(number: i8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }

        impl core::fmt::Display for Code {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self { $(Self::$name => $text),* })
            }
        }
    };
}

codes! {
    1 Syscall "the script could not read the transaction",
    2 NoChannel "the transaction has no channel cell",
    3 ScriptArgs "the channel type script takes no arguments",
    4 CellData "a channel cell's data is not 116 well-formed bytes",
    5 DuplicateChannel "two channel cells of one transaction carry the same channel id",
    6 Witness "a channel's witness is missing or malformed",
    7 WrongAction "the action does not fit the channel's phase, or the cells on both sides",
    8 Overflow "a sum of amounts leaves its range",
    9 TooManyCells "the transaction has more cells than are judged at once",
    10 ChannelId "the witness describes another channel",
    11 Participants "the participants are malformed, or one address stands twice",
    12 ForeignIdentity "a participant's CKB identity is malformed",
    13 Challenge "the challenge duration is outside 1,800 seconds to one year",
    14 Reserve "a participant's reserve is below 61 CKB",
    15 Rent "the reserves do not cover the channel cell and its vaults",
    16 Rows "the assets are malformed, unordered or listed twice",
    17 FundingTokens "deposits one after another are for channels without tokens",
    20 StateShape "the state does not have the channel's rows and columns",
    21 StateTotals "the state's sums are not the channel's totals",
    22 LockedUnsupported "this script does not settle locked entries",
    23 StateDigest "the state is not the one that the cell stores",
    24 NotNewer "the state is not newer than the stored one",
    25 NotFinal "the state is not final",
    26 InitialState "a channel starts with version 0, not final, without a swap",
    27 Swap "the state's data is neither empty nor a swap that fits the balances",
    28 Undecided "the state has legs of a swap on this ledger, and nothing decides them",
    29 NothingToDecide "no leg of a swap on this ledger waits for a decision",
    30 Signature "a signature is not in the strict 65-byte form, or fits no key",
    31 WrongSigner "a signature is not the participant's over this state",
    32 SignatureCount "not exactly one signature for each participant",
    33 SlotUsed "this participant has used this registration slot in this dispute",
    34 SlotUnknown "no such registration slot",
    35 Consent "a participant did not consent to this transaction",
    36 DelegateStarts "a delegate may answer a dispute, not start one",
    37 Preimage "the preimage is not the one that opens the swap's lock",
    40 Since "the input does not wait out the challenge duration in relative time",
    41 ChannelLock "the channel cell is not under its vault lock",
    42 ChannelCapacity "the channel cell's capacity is not what the rules make it",
    43 ChannelFrame "a field of the channel cell changed that this action does not own",
    44 VaultInputs "the vault cells spent are not exactly the ones this action pays from",
    45 VaultOutputs "the vault cells made are not exactly the ones this action makes",
    46 Deposits "the deposit marks are not more than before, or not those of participants",
    47 UnpaidRows "the marks of unpaid rows are not token rows, or not fewer than before",
    48 Unexpired "no input proves by absolute time that the swap's legs on this ledger have expired",
    50 Underpaid "a payee gets less than the channels of this transaction owe",
    51 OtherContract "another contract takes part beside channels that are paid by rule",
    60 VaultArgs "the vault lock takes 32 bytes of arguments",
    61 VaultClosed "no channel cell of this vault is spent",
}
