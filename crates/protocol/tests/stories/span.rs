//! Pairs with channels that span several ledgers: a row of each, and what everybody has at the end.

use perun_channel::{Allocation, Amount, Asset, LedgerId, Params, State};
use perun_protocol::{
    Assembly, Command, Digest, Effect, Funding, Input, LedgerBytes, LedgerTerms, Payment,
    PerLedger, PhaseName, Place, Plan, Reply, Sighting, Standing, Terms,
};

use crate::ledger::JOINT;
use crate::pair::{CHALLENGE, Pair, money};
use crate::rules;
use crate::vault::VAULT;

/// Row 0 of a channel that spans both ledgers: coins of the one with the shared transaction.
pub(crate) const COIN: u8 = 0;
/// Row 1: ether of the one with deposits.
pub(crate) const ETHER: u8 = 1;

pub(crate) fn ether() -> Asset {
    Asset::ethereum(VAULT.chain(), perun_channel::Address::new([0xee; 20]))
}

impl Pair {
    /// An open channel on both ledgers.
    pub(crate) fn span(coins: [u128; 2], ether: [u128; 2]) -> Self {
        let mut pair = Self::new();
        pair.propose_span(coins, ether).settle();
        assert_eq!(pair.phases(), [PhaseName::Open; 2]);
        pair
    }

    pub(crate) fn propose_span(&mut self, coins: [u128; 2], ether: [u128; 2]) -> &mut Self {
        let terms = self.span_terms(coins, ether);
        let contributions = terms.ledgers.map(|_| money(0));
        self.user(0, Command::Propose { terms, contributions })
    }

    pub(crate) fn span_terms(&self, coins: [u128; 2], ether: [u128; 2]) -> Terms {
        let row = |balances: [u128; 2]| balances.map(Amount::new).to_vec();
        let assets = vec![Asset::ckb(JOINT.chain()), self::ether()];
        let outcome = Allocation::new(assets, vec![row(coins), row(ether)], vec![]).unwrap();
        self.terms_of(outcome)
    }

    pub(crate) fn terms_of(&self, outcome: Allocation) -> Terms {
        let ledgers = outcome.ledgers().into_iter().map(|ledger| LedgerTerms {
            ledger,
            funding: if ledger == JOINT { Funding::Joint {} } else { Funding::Deposit {} },
            chain: LedgerBytes::default(),
        });
        Terms {
            challenge_secs: CHALLENGE,
            proposer: self.participant(0),
            ledgers: PerLedger::new(ledgers.collect()).unwrap(),
            outcome,
        }
    }

    /// Node `from` pays in this row.
    pub(crate) fn pay_in(&mut self, from: usize, asset: u8, amount: u128) -> &mut Self {
        let payment = Payment { asset, ..self.payment(from, amount) };
        self.user(from, Command::Pay(payment))
    }

    /// The balances of a row that a node's newest complete state gives.
    pub(crate) fn row(&self, place: usize, asset: u8) -> [u128; 2] {
        let state = &self.nodes[place].machine.agreed().unwrap().state;
        [0, 1].map(|side| state.outcome().balance(usize::from(asset), side).unwrap().get())
    }

    /// What a side has gained or lost, coins and ether. What is in no ledger's hands is its own.
    pub(crate) fn gains(&self, side: usize) -> [i128; 2] {
        let entry = self.ledger.channels.values().next();
        let coins = entry.map_or(0, |entry| {
            let coin = |state: &State| {
                i128::try_from(state.outcome().balance(0, side).unwrap().get()).unwrap()
            };
            let brought = coin(&entry.initial);
            match &entry.standing {
                Standing::Absent | Standing::Impossible => 0,
                Standing::Concluded { state, preimage, .. } => {
                    let paid = rules::paid(JOINT, state, preimage.is_some());
                    i128::try_from(paid.balance(0, side).unwrap().get()).unwrap() - brought
                }
                Standing::Closed { state } => coin(state) - brought,
                _ => -brought,
            }
        });
        [coins, self.vault.wallets[side]]
    }

    /// Builds the channel that a plan implies, on all of its ledgers.
    pub(crate) fn assemble(&mut self, plan: &Plan) -> Reply {
        let is_joint = |terms: &LedgerTerms| terms.funding == Funding::Joint {};
        if self.ledger.cannot_build || plan.ledgers.iter().all(is_joint) {
            return self.ledger.assemble(plan);
        }
        let joint = plan.ledgers.iter().any(is_joint).then(|| self.ledger.assemble(plan));
        let (params, initial, joint) = match joint {
            Some(Reply::Assembled(assembly)) => (assembly.params, assembly.initial, assembly.joint),
            _ => {
                let people = plan.participants.to_vec();
                let params = Params::new(plan.challenge_secs, [4; 32], people).unwrap();
                let initial = State::initial(params.id(), plan.outcome.clone());
                (params, initial, None)
            }
        };
        let places = plan.ledgers.map(|terms| Place {
            ledger: terms.ledger,
            funding: terms.funding,
            setup: LedgerBytes::new(params.id().as_bytes().to_vec()).unwrap(),
        });
        Reply::Assembled(Assembly { params, initial, places, joint })
    }

    /// Takes an order to the ledger that it is for.
    pub(crate) fn submit(&mut self, place: usize, effect: &Effect) {
        if ledger_of(effect) == Some(VAULT) {
            let digest = match effect {
                Effect::Register { agreed, .. } => agreed.proof.as_ref().map(|it| it.digest),
                _ => None,
            };
            let own = self.sign(place, &digest.unwrap_or(Digest::new([0; 32])));
            self.vault.submit(place, effect, own);
        } else {
            self.ledger.submit(place, effect);
        }
    }

    /// What a ledger shows to one node, whatever it was before.
    pub(crate) fn sees(&mut self, place: usize, ledger: LedgerId, standing: Standing) {
        let channel = self.nodes[place].machine.id().unwrap();
        let sighting = Sighting { ledger, channel, standing, confirmed: true };
        self.feed(place, Input::Ledger(sighting)).unwrap();
    }

    /// How often a node has ordered something like this on one ledger.
    pub(crate) fn ordered(
        &self,
        place: usize,
        ledger: LedgerId,
        wanted: impl Fn(&Effect) -> bool,
    ) -> usize {
        self.submitted(place, |effect| ledger_of(effect) == Some(ledger) && wanted(effect))
    }
}

/// The ledger that an effect is for.
pub(crate) fn ledger_of(effect: &Effect) -> Option<LedgerId> {
    match effect {
        Effect::Watch(target)
        | Effect::Deposit { target, .. }
        | Effect::SubmitClose { target, .. }
        | Effect::Register { target, .. }
        | Effect::Conclude { target, .. }
        | Effect::Withdraw { target, .. } => Some(target.ledger),
        Effect::SendWitness { transaction }
        | Effect::CheckWitness { transaction, .. }
        | Effect::SubmitAssembly { transaction, .. }
        | Effect::AbortOpen { transaction } => Some(transaction.ledger),
        Effect::ReleaseFunds { ledger, .. } | Effect::ReadClock { ledger } => Some(*ledger),
        Effect::Send(_) | Effect::Notify(_) | Effect::Assemble(_) => None,
    }
}
