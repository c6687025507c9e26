//! A channel on Ethereum that ends in a way the chain does not tell.

#[path = "common/evm.rs"]
mod evm;

use alloy_primitives::{Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use evm::{ETHER, Ethereum, row};
use perun_backend_evm::abi::{convert, eth, solidity as sol};
use perun_channel::{Allocation, Participant, SignedState, State, Version};
use perun_embedded_evm::testkit::{call, deploy, dev_signer, signed};
use perun_node::{DepositLedger, EvmLedger, Ledger, OpenRequest, SessionKey};
use perun_protocol::{
    Agreed, Digest, Funding, Index, LedgerTerms, PeerProof, PerLedger, Plan, Sighting, Slot,
    Standing, Target,
};

const CHALLENGE_SECS: u64 = 3_600;

/// Makes a contract that hands every call on to the hub.
fn between(evm: &Ethereum) -> alloy_primitives::Address {
    let hub = eth(evm.coin().holder());
    // Copies the call's input, calls, drops the answer.
    let code = [&[0x36, 0x5f, 0x5f, 0x37, 0x5f, 0x5f, 0x36, 0x5f, 0x5f, 0x73], hub.as_slice()];
    let code = [code.concat().as_slice(), &[0x5a, 0xf1, 0x50, 0x00]].concat();
    let size = u8::try_from(code.len()).unwrap();
    let create = [&[0x60, size, 0x60, 0x0c, 0x60, 0, 0x39, 0x60, size, 0x60, 0, 0xf3], &code[..]];
    deploy(&evm.chain, &dev_signer(0), create.concat()).unwrap()
}

fn report(alice: &mut impl Ledger, evm: &Ethereum) -> Vec<Sighting> {
    evm.chain.mine(1).unwrap();
    alice.sync().unwrap()
}

/// A channel on Ethereum that Alice watches, without a machine.
struct Story {
    evm: Ethereum,
    alice: EvmLedger,
    keys: [SessionKey; 2],
    target: Target,
    initial: State,
}

impl Story {
    fn open() -> Self {
        let evm = Ethereum::buried_by(1);
        let mut alice = evm.ledger(0);
        let mut bob = evm.ledger(1);
        let keys = [0x61, 0x62].map(|byte| SessionKey::from_secret([byte; 32]).unwrap());
        let participants =
            [0, 1].map(|side: usize| Participant::new(keys[side].address(), Vec::new()).unwrap());
        let outcome =
            Allocation::new(vec![evm.coin()], vec![row([2 * ETHER, 0])], Vec::new()).unwrap();
        let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome: outcome.clone() };
        let (chain, ours) = alice.offer(keys[0].address(), &request).unwrap();
        let ledger = evm.coin().ledger();
        let ledgers = PerLedger::one(LedgerTerms { ledger, funding: Funding::Deposit {}, chain });
        let terms = perun_protocol::Terms {
            challenge_secs: CHALLENGE_SECS,
            outcome: outcome.clone(),
            proposer: participants[0].clone(),
            ledgers: ledgers.clone(),
        };
        let theirs = bob.answer(keys[1].address(), &terms).unwrap();
        let plan = Plan {
            index: Index::Zero,
            challenge_secs: CHALLENGE_SECS,
            participants,
            outcome: outcome.clone(),
            ledgers,
            contributions: [PerLedger::one(ours.clone()), PerLedger::one(theirs)],
            predecessor: None,
        };
        let params = alice.params(&plan).unwrap();
        let initial = State::initial(params.id(), outcome);
        let setup = alice.place(&plan, &params, &initial).unwrap();
        let (id, index, transaction) = (params.id(), Index::Zero, None);
        let target = Target { ledger, id, params, setup, transaction, index };
        alice.watch(&target).unwrap();
        let sign = |digest: &[u8; 32]| keys[0].sign(digest);
        alice.deposit(&target, &initial, &ours, &sign).unwrap();
        let sighting = report(&mut alice, &evm).pop().unwrap();
        assert_eq!((sighting.standing, sighting.confirmed), (Standing::Open, true));
        Self { evm, alice, keys, target, initial }
    }

    /// Bob ends the channel with this state of both through a contract, so that nobody logs it.
    fn end(&self, last: &State) {
        let both = self.keys.each_ref().map(|key| key.sign(&last.digest())).to_vec();
        let all = SignedState::new(&self.target.params, last.clone(), both).unwrap();
        let sol::SignedState { params, state, sigs } = convert::signed(&self.target.params, &all);
        let input: Bytes = sol::Hub::concludeFinalCall { params, state, sigs }.abi_encode().into();
        let (maker, to) = (dev_signer(0), TxKind::Call(between(&self.evm)));
        let tx = call(&self.evm.chain, &maker, to, U256::ZERO, input, 1_000_000).unwrap();
        self.evm.chain.send_raw(&signed(&maker, tx)).unwrap();
    }
}

/// Alice proposes to close. Bob says nothing, and ends the channel with the final state, which only
/// he has, through a contract and without paying anybody. Alice finds out what came of it.
#[test]
fn an_ending_that_only_the_peer_has_signed_in_full_is_recognised() {
    let mut story = Story::open();
    let (initial, target) = (story.initial.clone(), story.target.clone());
    let outcome = initial.outcome().transfer(0, 1, 0, perun_channel::Amount::new(7)).unwrap();
    let latest = initial.at_version(Version::new(4), outcome.clone());
    let last = latest.at_version(Version::new(9), outcome).finalized();
    story.end(&last);
    story.evm.chain.mine(1).unwrap();

    // What she does when nobody answers.
    let digest = Digest::new(latest.digest());
    let signature = story.keys[1].sign(&latest.digest());
    let sign = |digest: &[u8; 32]| story.keys[0].sign(digest);
    let agreed = Agreed { state: latest, proof: Some(PeerProof { digest, signature }) };
    let slot = Slot { participant: Index::Zero, delegate: false };
    story.alice.register(&target, &agreed, slot, 0, &sign).unwrap();
    let sighting = report(&mut story.alice, &story.evm).pop().expect("the end is seen");
    let end = Standing::Concluded { state: last.clone(), unpaid: 1, preimage: None };
    assert_eq!((sighting.standing, sighting.confirmed), (end, true));
    story.alice.withdraw(&target, &last, 1, 0, &sign).unwrap();
    story.evm.chain.mine(1).unwrap();
    assert_eq!(story.evm.held(), [7, 0], "what is left is Bob's");
}

/// Of a channel whose ending cannot be read the user is told, once, and other channels do not wait.
#[test]
fn a_channel_that_cannot_be_read_is_named_once() {
    let mut story = Story::open();
    let outcome = story.initial.outcome().transfer(0, 1, 0, perun_channel::Amount::new(7)).unwrap();
    story.end(&story.initial.at_version(Version::new(9), outcome).finalized());
    assert_eq!(report(&mut story.alice, &story.evm), []);
    let named = story.alice.unread();
    assert_eq!(named.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [story.target.id]);
    assert_eq!(report(&mut story.alice, &story.evm), []);
    assert!(story.alice.unread().is_empty(), "named twice");
}
