//! The ledgers of a house, and what is asked of several of them at once.
//!
//! A channel's terms name its ledgers and how each is funded. Both are checked here: a row of a
//! ledger that we do not have would be money that nobody put in, and a ledger that is said to be
//! funded in another way than it is would be opened by the wrong rules.

use std::collections::BTreeMap;

use perun_channel::{Address, LedgerId, Params, Participant, State};
use perun_protocol::{
    Assembly, Dialect, Funding, LedgerBytes, LedgerTerms, PerLedger, Place, Plan, Terms,
};

use crate::{DepositLedger, JointLedger, Ledger, LedgerError, OpenRequest};

/// One ledger of a house.
pub enum AnyLedger {
    /// One transaction of both sides opens a channel.
    Joint(Box<dyn JointLedger>),
    /// Each side deposits for itself.
    Deposit(Box<dyn DepositLedger>),
}

impl AnyLedger {
    /// A ledger where one transaction of both sides opens a channel.
    #[must_use]
    pub fn joint(ledger: impl JointLedger + 'static) -> Self {
        Self::Joint(Box::new(ledger))
    }

    /// A ledger where each side deposits for itself.
    #[must_use]
    pub fn deposit(ledger: impl DepositLedger + 'static) -> Self {
        Self::Deposit(Box::new(ledger))
    }

    const fn funding(&self) -> Funding {
        match self {
            Self::Joint(_) => Funding::Joint {},
            Self::Deposit(_) => Funding::Deposit {},
        }
    }

    fn common(&mut self) -> &mut dyn Ledger {
        match self {
            Self::Joint(ledger) => ledger.as_mut(),
            Self::Deposit(ledger) => ledger.as_mut(),
        }
    }
}

/// All ledgers of a house.
pub(crate) struct Ledgers(BTreeMap<LedgerId, AnyLedger>);

/// What a ledger set aside, to be given back if another one cannot do its part.
type SetAside = Vec<(LedgerId, LedgerBytes)>;

impl Ledgers {
    pub(crate) fn new(ledgers: Vec<AnyLedger>) -> Self {
        let named = |mut ledger: AnyLedger| (ledger.common().id(), ledger);
        Self(ledgers.into_iter().map(named).collect())
    }

    pub(crate) fn ids(&self) -> Vec<LedgerId> {
        self.0.keys().copied().collect()
    }

    /// Whether on some of these each side deposits for itself.
    pub(crate) fn have_deposits(&self, ledgers: &[LedgerId]) -> bool {
        let mut known = ledgers.iter().filter_map(|ledger| self.0.get(ledger));
        known.any(|ledger| matches!(ledger, AnyLedger::Deposit(_)))
    }

    fn any(&mut self, ledger: LedgerId) -> Result<&mut AnyLedger, LedgerError> {
        self.0.get_mut(&ledger).ok_or(LedgerError::UnknownLedger(ledger))
    }

    pub(crate) fn get(&mut self, ledger: LedgerId) -> Result<&mut dyn Ledger, LedgerError> {
        self.any(ledger).map(AnyLedger::common)
    }

    pub(crate) fn joint(&mut self, ledger: LedgerId) -> Result<&mut dyn JointLedger, LedgerError> {
        match self.any(ledger)? {
            AnyLedger::Joint(joint) => Ok(joint.as_mut()),
            AnyLedger::Deposit(_) => Err(LedgerError::OtherFunding(ledger)),
        }
    }

    pub(crate) fn deposit(
        &mut self,
        ledger: LedgerId,
    ) -> Result<&mut dyn DepositLedger, LedgerError> {
        match self.any(ledger)? {
            AnyLedger::Deposit(deposit) => Ok(deposit.as_mut()),
            AnyLedger::Joint(_) => Err(LedgerError::OtherFunding(ledger)),
        }
    }

    /// Sets aside what our side of a channel needs on every ledger of its assets, and writes the
    /// terms.
    pub(crate) fn offer(
        &mut self,
        session: Address,
        request: &OpenRequest,
    ) -> Result<(Terms, PerLedger<LedgerBytes>), LedgerError> {
        let mut aside = SetAside::new();
        let offered = self.offer_each(session, request, &mut aside);
        self.kept_if_done(offered, aside)
    }

    fn offer_each(
        &mut self,
        session: Address,
        request: &OpenRequest,
        aside: &mut SetAside,
    ) -> Result<(Terms, PerLedger<LedgerBytes>), LedgerError> {
        let (mut ledgers, mut proposer) = (Vec::new(), None);
        let named = request.outcome.ledgers();
        // All are looked at before the first sets anything aside.
        named.iter().try_for_each(|ledger| self.any(*ledger).map(drop))?;
        for ledger in named {
            let any = self.any(ledger)?;
            let funding = any.funding();
            let (chain, contribution) = match any {
                AnyLedger::Joint(joint) => {
                    let offer = joint.offer(session, request)?;
                    proposer = Some(offer.participant);
                    (offer.chain, offer.contribution)
                }
                AnyLedger::Deposit(deposit) => deposit.offer(session, request)?,
            };
            aside.push((ledger, contribution));
            ledgers.push(LedgerTerms { ledger, funding, chain });
        }
        let proposer = proposer.map_or_else(|| plain(session), Ok)?;
        let (challenge_secs, outcome) = (request.challenge_secs, request.outcome.clone());
        let ledgers = per_ledger(ledgers)?;
        Ok((Terms { challenge_secs, outcome, proposer, ledgers }, contributions(aside)?))
    }

    /// Sets aside what our side of a proposed channel needs on every ledger that it names.
    pub(crate) fn answer(
        &mut self,
        session: Address,
        terms: &Terms,
    ) -> Result<(Participant, PerLedger<LedgerBytes>), LedgerError> {
        self.check(&terms.ledgers)?;
        let mut aside = SetAside::new();
        let answered = self.answer_each(session, terms, &mut aside);
        self.kept_if_done(answered, aside)
    }

    fn answer_each(
        &mut self,
        session: Address,
        terms: &Terms,
        aside: &mut SetAside,
    ) -> Result<(Participant, PerLedger<LedgerBytes>), LedgerError> {
        let mut participant = None;
        for ledger in terms.ledgers.iter().map(|terms| terms.ledger) {
            let contribution = match self.any(ledger)? {
                AnyLedger::Joint(joint) => {
                    let (identity, contribution) = joint.answer(session, terms)?;
                    participant = Some(identity);
                    contribution
                }
                AnyLedger::Deposit(deposit) => deposit.answer(session, terms)?,
            };
            aside.push((ledger, contribution));
        }
        let participant = participant.map_or_else(|| plain(session), Ok)?;
        Ok((participant, contributions(aside)?))
    }

    /// What one ledger set aside is free again if another could not do its part.
    fn kept_if_done<T>(
        &mut self,
        done: Result<T, LedgerError>,
        aside: SetAside,
    ) -> Result<T, LedgerError> {
        if done.is_err() {
            for (ledger, contribution) in aside {
                // What failed first is what the user has to know.
                let _ = self.release(ledger, &contribution);
            }
        }
        done
    }

    /// Makes what was set aside on a ledger available again.
    pub(crate) fn release(
        &mut self,
        ledger: LedgerId,
        contribution: &LedgerBytes,
    ) -> Result<(), LedgerError> {
        self.get(ledger)?.release_funds(contribution)
    }

    /// The same on all ledgers of a channel. All are asked, whatever one of them says.
    pub(crate) fn release_all(
        &mut self,
        ledgers: &[LedgerId],
        contributions: &PerLedger<LedgerBytes>,
    ) -> Result<(), LedgerError> {
        let each = ledgers.iter().zip(contributions);
        let done: Vec<_> = each.map(|(ledger, part)| self.release(*ledger, part)).collect();
        done.into_iter().collect()
    }

    /// Builds the planned channel: one ledger makes the parameters, every ledger its place.
    pub(crate) fn assemble(
        &mut self,
        plan: &Plan,
        ended: Option<State>,
        dialect: Dialect,
    ) -> Result<Assembly, LedgerError> {
        self.check(&plan.ledgers)?;
        let by_joint = plan.ledgers.iter().find(|terms| terms.funding == Funding::Joint {});
        let joint = match by_joint {
            Some(terms) => Some(self.joint(terms.ledger)?.assemble(plan, ended)?),
            None => None,
        };
        let (params, initial) = match (&joint, plan.ledgers.get(0)) {
            (Some(joint), _) => (joint.params.clone(), joint.initial.clone()),
            (None, Some(first)) => {
                let params = match dialect {
                    Dialect::Perun => self.deposit(first.ledger)?.params(plan)?,
                    Dialect::GoPerun => self.go_perun_params(plan)?,
                };
                let initial = State::initial(params.id(), plan.outcome.clone());
                (params, initial)
            }
            (None, None) => return Err(LedgerError::Malformed("plan")),
        };
        let mut places = Vec::new();
        for LedgerTerms { ledger, funding, .. } in &plan.ledgers {
            let setup = match (&joint, funding) {
                (Some(joint), Funding::Joint {}) => joint.setup.clone(),
                _ => self.deposit(*ledger)?.place(plan, &params, &initial)?,
            };
            places.push(Place { ledger: *ledger, funding: *funding, setup });
        }
        let (places, joint) = (per_ledger(places)?, joint.map(|joint| joint.transaction));
        Ok(Assembly { params, initial, places, joint })
    }

    /// The parameters of a channel with a go-perun peer: the nonce is the hash of both shares.
    fn go_perun_params(&mut self, plan: &Plan) -> Result<Params, LedgerError> {
        let mut shares = [[0; 32]; 2];
        for (share, parts) in shares.iter_mut().zip(&plan.contributions) {
            let (Some(part), 1) = (parts.get(0), parts.len()) else {
                return Err(LedgerError::TooManyLedgers);
            };
            let ledger = plan.ledgers.get(0).ok_or(LedgerError::Malformed("plan"))?.ledger;
            *share = self.share(ledger, part)?;
        }
        let nonce = perun_goperun::nonce(&shares);
        Params::new(plan.challenge_secs, nonce, plan.participants.to_vec())
            .map_err(|error| LedgerError::Refused(error.to_string()))
    }

    /// What was drawn at random for a contribution: its share of a nonce.
    pub(crate) fn share(
        &mut self,
        ledger: LedgerId,
        contribution: &LedgerBytes,
    ) -> Result<[u8; 32], LedgerError> {
        self.deposit(ledger)?.go_perun_share(contribution)
    }

    /// Refuses terms that name a ledger that we do not have, or fund one in another way than it is.
    fn check(&mut self, ledgers: &PerLedger<LedgerTerms>) -> Result<(), LedgerError> {
        for terms in ledgers {
            if self.any(terms.ledger)?.funding() != terms.funding {
                return Err(LedgerError::OtherFunding(terms.ledger));
            }
        }
        Ok(())
    }
}

/// A participant whom no ledger gives an identity: its key is enough. The zeros are what go-perun
/// signs for it as well.
fn plain(session: Address) -> Result<Participant, LedgerError> {
    Participant::new(session, vec![0; 32]).map_err(|error| LedgerError::Refused(error.to_string()))
}

fn per_ledger<T>(values: Vec<T>) -> Result<PerLedger<T>, LedgerError> {
    PerLedger::new(values).map_err(|_| LedgerError::TooManyLedgers)
}

fn contributions(aside: &SetAside) -> Result<PerLedger<LedgerBytes>, LedgerError> {
    per_ledger(aside.iter().map(|(_, contribution)| contribution.clone()).collect())
}
