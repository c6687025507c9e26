//! A real machine brought to the point where its channel is open, by the shortest honest life.

use perun_channel::{Allocation, Amount};
use perun_protocol::{
    Assembly, Body, Command, Config, Index, Input, LedgerBytes, Machine, Message, OpeningId, Reply,
    Sighting, Standing, Terms, Time, TransactionId, Witness,
};

use crate::court::Outline;
use crate::scene::Scene;
use crate::symbol::Symbols;

/// The name of every model's machine.
pub const OPENING: OpeningId = OpeningId::new([5; 32]);
/// The name of the transaction that opens the channel.
const TRANSACTION: TransactionId = TransactionId::new([6; 32]);

/// What the proposer of the scene's channel asks for.
#[must_use]
pub fn terms(scene: &Scene, initial: &Outline) -> Terms {
    let row = initial.balances.map(|amount| Amount::new(amount.into())).to_vec();
    let assets = scene.setup().rows().iter().map(|row| row.asset.clone()).collect();
    Terms {
        challenge_secs: scene.params().challenge_secs(),
        outcome: Allocation::new(assets, vec![row], vec![]).expect("one asset, two balances"),
        proposer: scene.params().participants()[0].clone(),
        chain: LedgerBytes::default(),
    }
}

/// The transaction that opens the scene's channel.
#[must_use]
pub fn assembly(scene: &Scene, initial: &Outline) -> Assembly {
    Assembly {
        params: scene.params().clone(),
        setup: LedgerBytes::default(),
        initial: initial.state(scene),
        transaction: TRANSACTION,
        abort: LedgerBytes::default(),
        consent: None,
    }
}

/// Participant 1's part of it.
#[must_use]
pub fn witness() -> Witness {
    Witness { transaction: TRANSACTION, locks: LedgerBytes::default(), consent: None }
}

/// A message to the model's machine.
#[must_use]
pub const fn message(body: Body<perun_channel::Signature>) -> Input {
    Input::Message(Message { opening: OPENING, body })
}

/// The machine of `index` with an open channel, whose peer is ready.
///
/// # Panics
/// If the machine declines a step of an honest opening.
#[must_use]
pub fn opened(scene: &Scene, initial: &Outline, index: Index, config: Config) -> Machine {
    let (terms, assembly) = (terms(scene, initial), assembly(scene, initial));
    let contribution = LedgerBytes::default;
    let participant = scene.params().participants()[1].clone();
    let assembled = Input::Backend(Reply::Assembled(assembly));
    let mut inputs = match index {
        Index::Zero => vec![
            Input::Command(Command::Propose { terms, contribution: contribution() }),
            message(Body::Accept { participant, contribution: contribution() }),
            assembled,
            message(Body::Release { witness: witness() }),
            Input::Backend(Reply::WitnessGood(TRANSACTION)),
        ],
        Index::One => vec![
            message(Body::Propose { terms, contribution: contribution() }),
            Input::Command(Command::Accept { participant, contribution: contribution() }),
            assembled,
        ],
    };
    let state = initial.state(scene);
    let next_version = perun_channel::Version::new(initial.version + 1);
    inputs.push(Input::Ledger(Sighting {
        channel: scene.params().id(),
        standing: Standing::Open,
        confirmed: true,
    }));
    inputs.push(message(Body::Sync { state, next_version, proof: None }));
    let mut machine = Machine::new(OPENING, config);
    for input in inputs {
        let step = machine.step_with(&Symbols, Time::new(0), input).expect("an honest opening");
        step.records.iter().for_each(|record| machine.apply(record));
    }
    machine
}
