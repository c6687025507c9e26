//! The messages of go-perun's schema, field by field. Nothing but their numbers and types is here.

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Envelope {
    #[prost(message, optional, tag = "1")]
    pub(super) sender: Option<Address>,
    #[prost(message, optional, tag = "2")]
    pub(super) recipient: Option<Address>,
    #[prost(oneof = "Msg", tags = "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19")]
    pub(super) msg: Option<Msg>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Msg {
    #[prost(message, tag = "3")]
    Ping(Created),
    #[prost(message, tag = "4")]
    Pong(Created),
    #[prost(message, tag = "5")]
    Shutdown(Shutdown),
    #[prost(message, tag = "6")]
    AuthResponse(AuthResponse),
    #[prost(message, tag = "7")]
    LedgerProposal(LedgerProposal),
    #[prost(message, tag = "8")]
    LedgerAccept(PartyAccept),
    #[prost(message, tag = "9")]
    SubProposal(SubProposal),
    #[prost(message, tag = "10")]
    SubAccept(SubAccept),
    #[prost(message, tag = "11")]
    VirtualProposal(VirtualProposal),
    #[prost(message, tag = "12")]
    VirtualAccept(PartyAccept),
    #[prost(message, tag = "13")]
    ProposalReject(ProposalReject),
    #[prost(message, tag = "14")]
    Update(Update),
    #[prost(message, tag = "15")]
    VirtualFunding(VirtualFunding),
    #[prost(message, tag = "16")]
    VirtualSettlement(VirtualSettlement),
    #[prost(message, tag = "17")]
    UpdateAccept(UpdateAccept),
    #[prost(message, tag = "18")]
    UpdateReject(UpdateReject),
    #[prost(message, tag = "19")]
    Sync(Sync),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Address {
    #[prost(message, repeated, tag = "1")]
    pub(super) entries: Vec<AddressEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AddressEntry {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) backend: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) address: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Balance {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) amounts: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Balances {
    #[prost(message, repeated, tag = "1")]
    pub(super) rows: Vec<Balance>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct IndexMap {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) indices: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SubAlloc {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) id: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(super) balance: Option<Balance>,
    #[prost(message, optional, tag = "3")]
    pub(super) index_map: Option<IndexMap>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Allocation {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) backends: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) assets: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "3")]
    pub(super) balances: Option<Balances>,
    #[prost(message, repeated, tag = "4")]
    pub(super) locked: Vec<SubAlloc>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Proposal {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) challenge_secs: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) nonce_share: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) app: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) data: Vec<u8>,
    #[prost(message, optional, tag = "6")]
    pub(super) outcome: Option<Allocation>,
    #[prost(message, optional, tag = "7")]
    pub(super) funding: Option<Balances>,
    #[prost(bytes = "vec", tag = "8")]
    pub(super) aux: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Accept {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) proposal: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) nonce_share: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Params {
    /// Nobody writes it, and it would be a second spelling.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) challenge_secs: u64,
    #[prost(message, repeated, tag = "3")]
    pub(super) parties: Vec<Address>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) app: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) nonce: Vec<u8>,
    #[prost(bool, tag = "6")]
    pub(super) is_ledger: bool,
    #[prost(bool, tag = "7")]
    pub(super) is_virtual: bool,
    #[prost(bytes = "vec", tag = "8")]
    pub(super) aux: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct State {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) version: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) app: Vec<u8>,
    #[prost(message, optional, tag = "4")]
    pub(super) outcome: Option<Allocation>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) data: Vec<u8>,
    #[prost(bool, tag = "6")]
    pub(super) is_final: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Transaction {
    #[prost(message, optional, tag = "1")]
    pub(super) state: Option<State>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) signatures: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SignedState {
    #[prost(message, optional, tag = "1")]
    pub(super) params: Option<Params>,
    #[prost(message, optional, tag = "2")]
    pub(super) state: Option<State>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(super) signatures: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProposedState {
    #[prost(message, optional, tag = "1")]
    pub(super) state: Option<State>,
    #[prost(uint32, tag = "2")]
    pub(super) actor: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Created {
    #[prost(int64, tag = "1")]
    pub(super) created_ns: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Shutdown {
    #[prost(string, tag = "1")]
    pub(super) reason: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AuthResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LedgerProposal {
    #[prost(message, optional, tag = "1")]
    pub(super) base: Option<Proposal>,
    #[prost(message, optional, tag = "2")]
    pub(super) participant: Option<Address>,
    #[prost(message, repeated, tag = "3")]
    pub(super) peers: Vec<Address>,
}

/// The acceptance of a ledger channel and of a virtual one have the same fields.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PartyAccept {
    #[prost(message, optional, tag = "1")]
    pub(super) base: Option<Accept>,
    #[prost(message, optional, tag = "2")]
    pub(super) party: Option<Address>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SubProposal {
    #[prost(message, optional, tag = "1")]
    pub(super) base: Option<Proposal>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) parent: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SubAccept {
    #[prost(message, optional, tag = "1")]
    pub(super) base: Option<Accept>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct VirtualProposal {
    #[prost(message, optional, tag = "1")]
    pub(super) base: Option<Proposal>,
    #[prost(message, optional, tag = "2")]
    pub(super) proposer: Option<Address>,
    #[prost(message, repeated, tag = "3")]
    pub(super) peers: Vec<Address>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(super) parents: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    pub(super) index_maps: Vec<IndexMap>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProposalReject {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) proposal: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) reason: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Update {
    #[prost(message, optional, tag = "1")]
    pub(super) proposed: Option<ProposedState>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct VirtualFunding {
    #[prost(message, optional, tag = "1")]
    pub(super) update: Option<Update>,
    #[prost(message, optional, tag = "2")]
    pub(super) initial: Option<SignedState>,
    #[prost(message, optional, tag = "3")]
    pub(super) index_map: Option<IndexMap>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct VirtualSettlement {
    #[prost(message, optional, tag = "1")]
    pub(super) update: Option<Update>,
    #[prost(message, optional, tag = "2")]
    pub(super) last: Option<SignedState>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UpdateAccept {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) channel: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) version: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UpdateReject {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) channel: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) version: u64,
    #[prost(string, tag = "3")]
    pub(super) reason: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Sync {
    #[prost(uint32, tag = "1")]
    pub(super) phase: u32,
    #[prost(message, optional, tag = "2")]
    pub(super) transaction: Option<Transaction>,
}
