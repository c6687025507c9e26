//! One envelope of each kind, for the tests of this crate. Every field has bytes of its own, so
//! that a test finds them.

use perun_channel::sig::sign;
use perun_channel::{
    Address, Allocation, Amount, Asset, BackendId, ChannelId, Signature, State, SubAlloc, Version,
};

use crate::{
    Accept, AppState, ChannelParams, ClaimedState, Envelope, Identities, LedgerProposal, Message,
    Party, Proposal, Transaction, Update, VirtualFunding, VirtualProposal,
};

pub(crate) fn name(byte: u8) -> Identities {
    Identities::new(vec![(BackendId::ETHEREUM, vec![byte; 9])]).unwrap()
}

pub(crate) fn envelope(message: Message) -> Envelope {
    Envelope { sender: name(0x51), recipient: name(0x52), message }
}

pub(crate) fn signature() -> Signature {
    sign(&[7; 32], &secp256k1::SecretKey::from_secret_bytes([9; 32]).unwrap())
}

pub(crate) fn outcome(locked: usize) -> Allocation {
    let amounts = |numbers: &[u128]| numbers.iter().copied().map(Amount::new).collect::<Vec<_>>();
    let assets = vec![Asset::ethereum(0x3031, Address::new([0x61; 20]))];
    let entry = |byte| SubAlloc::new(ChannelId::new([byte; 32]), amounts(&[0x0a0b]), vec![1, 0]);
    let locked = (0..locked).map(|number| entry(u8::try_from(0xc0 + number).unwrap()));
    Allocation::new(assets, vec![amounts(&[0x0708_0910, 0])], locked.collect()).unwrap()
}

pub(crate) fn state() -> AppState {
    let data = vec![0xda; 5];
    let state = State::new(ChannelId::new([0x1d; 32]), Version::new(6), outcome(2), data, false);
    AppState::new(Address::new([0xa9; 20]), state.unwrap()).unwrap()
}

pub(crate) fn update() -> Update {
    Update { state: state(), actor: 1, signature: signature() }
}

pub(crate) fn parties() -> Vec<Party> {
    let one = Party::ethereum(Address::new([0xe1; 20])).unwrap();
    let two = Party::on_two(Address::new([0xe2; 20]), BackendId::CKB, vec![0xf2; 7]).unwrap();
    vec![one, two]
}

pub(crate) fn claim() -> ClaimedState {
    let app = Address::new([0xa9; 20]);
    let params =
        ChannelParams::new(60, [0x4e; 32], parties(), app, (false, true), [0xaa; 256]).unwrap();
    let transaction = Transaction::new(state(), vec![Some(signature()), None]).unwrap();
    ClaimedState::new(params, transaction).unwrap()
}

pub(crate) fn proposal() -> Proposal {
    let outcome = outcome(0);
    Proposal {
        id: [0x1b; 32],
        challenge_secs: 60,
        nonce_share: [0x5a; 32],
        app: Address::new([0xa9; 20]),
        data: vec![0xda; 5],
        funding: outcome.balances().to_vec(),
        outcome,
        aux: [0xaa; 256],
    }
}

pub(crate) fn ledger_proposal() -> Envelope {
    let [participant, _] = parties().try_into().unwrap();
    let peers = vec![name(0x53), name(0x54)];
    envelope(Message::LedgerProposal(LedgerProposal { base: proposal(), participant, peers }))
}

pub(crate) fn virtual_proposal() -> Envelope {
    let [_, proposer] = parties().try_into().unwrap();
    envelope(Message::VirtualProposal(VirtualProposal {
        base: proposal(),
        proposer,
        peers: vec![name(0x53), name(0x54)],
        parents: vec![ChannelId::new([0x71; 32]), ChannelId::new([0x72; 32])],
        index_maps: vec![vec![0, 1], vec![1, 0]],
    }))
}

pub(crate) fn virtual_funding() -> Envelope {
    let (update, initial, index_map) = (update(), claim(), vec![0x0101, 0x0202]);
    envelope(Message::VirtualFunding(VirtualFunding { update, initial, index_map }))
}

pub(crate) fn sync() -> Envelope {
    let current = Transaction::new(state(), vec![None, Some(signature())]).unwrap();
    envelope(Message::Sync { phase: 3, current: Some(current) })
}

pub(crate) fn accept() -> Envelope {
    envelope(Message::SubAccept(Accept { proposal: [0x1b; 32], nonce_share: [0x5a; 32] }))
}
