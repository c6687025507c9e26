//! A real machine brought to the point where its channel is open, by the shortest honest life.

use perun_channel::{Allocation, Amount};
use perun_protocol::{
    Assembly, Body, Command, Config, Funding, Index, Input, LedgerBytes, LedgerTerms, Machine,
    Message, OpeningId, PerLedger, Place, Reply, Sighting, Standing, Terms, Time, Transaction,
    TransactionId, Witness,
};

use crate::court::Outline;
use crate::scene::{LEDGER, Scene};
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
        ledgers: PerLedger::one(LedgerTerms {
            ledger: LEDGER,
            funding: Funding::Joint {},
            chain: LedgerBytes::default(),
        }),
    }
}

/// The transaction that opens the scene's channel.
#[must_use]
pub fn assembly(scene: &Scene, initial: &Outline) -> Assembly {
    Assembly {
        params: scene.params().clone(),
        initial: initial.state(scene),
        places: PerLedger::one(Place {
            ledger: LEDGER,
            funding: Funding::Joint {},
            setup: LedgerBytes::default(),
        }),
        joint: Some(Transaction {
            ledger: LEDGER,
            channel: scene.params().id(),
            id: TRANSACTION,
            abort: LedgerBytes::default(),
            consent: None,
        }),
    }
}

/// What each side puts in: the models' ledgers do not ask.
#[must_use]
pub fn no_parts() -> PerLedger<LedgerBytes> {
    PerLedger::one(LedgerBytes::default())
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
    let contributions = no_parts;
    let participant = scene.params().participants()[1].clone();
    let assembled = Input::Backend(Reply::Assembled(assembly));
    let mut inputs = match index {
        Index::Zero => vec![
            Input::Command(Command::Propose { terms, contributions: contributions() }),
            message(Body::Accept { participant, contributions: contributions() }),
            assembled,
            message(Body::Release { witness: witness() }),
            Input::Backend(Reply::WitnessGood(TRANSACTION)),
        ],
        Index::One => vec![
            message(Body::Propose { terms, contributions: contributions() }),
            Input::Command(Command::Accept { participant, contributions: contributions() }),
            assembled,
        ],
    };
    let state = initial.state(scene);
    let next_version = perun_channel::Version::new(initial.version + 1);
    inputs.push(Input::Ledger(Sighting {
        ledger: LEDGER,
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
