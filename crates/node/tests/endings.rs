//! A channel on Ethereum that ends in a way the chain does not tell.

#[path = "common/evm.rs"]
mod evm;

use alloy_primitives::{Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use evm::{ETHER, Ethereum, row};
use perun_backend_evm::abi::{convert, eth, solidity as sol};
use perun_channel::{Allocation, Participant, SignedState, State, Version};
use perun_embedded_evm::testkit::{call, deploy, dev_signer, signed};
use perun_node::{DepositLedger, Ledger, OpenRequest, SessionKey};
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

/// Alice proposes to close. Bob says nothing, and ends the channel with the final state, which only
/// he has, through a contract and without paying anybody. Alice finds out what came of it.
#[test]
fn an_ending_that_only_the_peer_has_signed_in_full_is_recognised() {
    let evm = Ethereum::buried_by(1);
    let mut alice = evm.ledger(0);
    let mut bob = evm.ledger(1);
    let keys = [0x61, 0x62].map(|byte| SessionKey::from_secret([byte; 32]).unwrap());
    let participants =
        [0, 1].map(|side: usize| Participant::new(keys[side].address(), Vec::new()).unwrap());
    let outcome = Allocation::new(vec![evm.coin()], vec![row([2 * ETHER, 0])], Vec::new()).unwrap();
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
    let target = Target { ledger, id, params: params.clone(), setup, transaction, index };
    alice.watch(&target).unwrap();
    let sign = |digest: &[u8; 32]| keys[0].sign(digest);
    alice.deposit(&target, &initial, &ours, &sign).unwrap();
    let sighting = report(&mut alice, &evm).pop().unwrap();
    assert_eq!((sighting.standing, sighting.confirmed), (Standing::Open, true));

    let outcome = initial.outcome().transfer(0, 1, 0, perun_channel::Amount::new(7)).unwrap();
    let latest = initial.at_version(Version::new(4), outcome.clone());
    let last = latest.at_version(Version::new(9), outcome).finalized();
    let both = keys.each_ref().map(|key| key.sign(&last.digest())).to_vec();
    let all = SignedState::new(&params, last.clone(), both).unwrap();
    let sol::SignedState { params, state, sigs } = convert::signed(&params, &all);
    let input: Bytes = sol::Hub::concludeFinalCall { params, state, sigs }.abi_encode().into();
    let (maker, to) = (dev_signer(0), TxKind::Call(between(&evm)));
    let tx = call(&evm.chain, &maker, to, U256::ZERO, input, 1_000_000).unwrap();
    evm.chain.send_raw(&signed(&maker, tx)).unwrap();
    evm.chain.mine(1).unwrap();

    // What she does when nobody answers.
    let digest = Digest::new(latest.digest());
    let signature = keys[1].sign(&latest.digest());
    let agreed = Agreed { state: latest, proof: Some(PeerProof { digest, signature }) };
    let slot = Slot { participant: Index::Zero, delegate: false };
    alice.register(&target, &agreed, slot, 0, &sign).unwrap();
    let sighting = report(&mut alice, &evm).pop().expect("the end is seen");
    let end = Standing::Concluded { state: last.clone(), unpaid: 1, preimage: None };
    assert_eq!((sighting.standing, sighting.confirmed), (end, true));
    alice.withdraw(&target, &last, 1, 0, &sign).unwrap();
    evm.chain.mine(1).unwrap();
    assert_eq!(evm.held(), [7, 0], "what is left is Bob's");
}
