//! Somebody with money and no node, who registers what is old.

use std::sync::Mutex;

use ckb_types::core::TransactionView;
use perun_backend_ckb::cells::Reservations;
use perun_backend_ckb::channel::{Contract, LiveChannel};
use perun_backend_ckb::dispute::{Job, Step, draft, registration_signatures};
use perun_backend_ckb::purse::Purse;
use perun_backend_ckb::tx::Draft;
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_channel::State;
use perun_channel::adjudicator::{Slot, SlotKind, registration_digest};
use perun_channel::codec::{Decode, Reader};
use perun_node::SessionKey;
use perun_protocol::Target;

use crate::common::{CKB, World, secret};

/// Somebody with money and no node.
pub(crate) struct Outlaw {
    wallet: Secp256k1,
    book: Mutex<Reservations>,
}

impl Outlaw {
    pub(crate) fn new(world: &World) -> Self {
        let wallet = Secp256k1::new(&world.deployment, SigningKey::new(secret()).unwrap());
        world.give(&wallet.locks()[0].script, &[5_000 * CKB]);
        Self { wallet, book: Mutex::default() }
    }

    fn send(&self, world: &World, draft: &Draft) -> TransactionView {
        let purse = Purse::new(&world.chain, &world.deployment, &self.wallet, &self.book);
        let paid = purse.pay(draft).unwrap();
        purse.send(&paid).unwrap();
        purse.release(&paid).unwrap();
        paid.spent.tx
    }
}

pub(crate) fn contract_of(target: &Target) -> Contract {
    let mut reader = Reader::new(target.setup.as_bytes());
    Contract::from_bytes(&reader.bytes(32_768).unwrap()).unwrap()
}

/// Registers version 0 by the right of one participant.
pub(crate) fn register_old(
    world: &World,
    outlaw: &Outlaw,
    contract: &Contract,
    initial: &State,
    session: [u8; 32],
    seat: u8,
) -> TransactionView {
    let live = LiveChannel::find(&world.chain, &world.deployment, contract).unwrap();
    let slot = Slot { participant: seat, kind: SlotKind::Own };
    let channel_type = world.deployment.env().channel_type;
    let digest = registration_digest(&channel_type, &contract.id(), &initial.hash(), slot);
    let key = SessionKey::from_secret(session).unwrap();
    let signatures = registration_signatures(None, slot, key.sign(&digest));
    let step = Step::Register { state: initial.clone(), slot, signatures };
    let job = Job { contract: contract.clone(), live, step };
    outlaw.send(world, &draft(&[job], &world.deployment).unwrap())
}
