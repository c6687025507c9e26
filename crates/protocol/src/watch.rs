//! A machine that only watches: it holds the newest state that a client entrusted to it, with the
//! client's one authorisation to register, and answers older registrations.
//!
//! It holds no key and proposes nothing, so it can only help or fail to help (P-W1). What it keeps
//! per channel has constant size (P-W3): a newer state replaces the older one.

use alloc::vec;

use perun_channel::{Signature, SignedState, State};

use crate::effect::Target;
use crate::input::{Sighting, Slot, Standing};
use crate::units::Time;

/// What a client entrusts to its tower: a complete state, and its signature that lets the tower use
/// the client's delegate right to register exactly this state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mandate {
    /// The state with all signatures.
    pub signed: SignedState,
    /// The client's signature over the registration by its delegate.
    pub authorisation: Signature,
}

/// One channel under watch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    target: Target,
    mandate: Option<Mandate>,
    answering: Option<Answering>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Answering {
    registered: State,
    attempt: u32,
    deadline: Time,
}

/// What changes a watch; to be stored before its effects are carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WatchRecord {
    /// A newer state was entrusted.
    Entrusted(Mandate),
    /// An older state is registered; ours is submitted.
    Answered {
        /// The registered state.
        registered: State,
        /// How often ours was submitted before.
        attempt: u32,
        /// When to submit again.
        deadline: Time,
    },
    /// Nothing is to be answered any more.
    Rested,
}

/// What a watch wants done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "effects are made one at a time and soon consumed")]
pub enum WatchEffect {
    /// Report how the channel stands, now and whenever it changes.
    Watch(Target),
    /// Register the entrusted state with the client's delegate right.
    Register {
        /// The channel.
        target: Target,
        /// What was entrusted.
        mandate: Mandate,
        /// The client's right to register.
        slot: Slot,
        /// How often it was submitted before; a higher fee may help.
        attempt: u32,
    },
}

/// What happens to a watch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WatchInput {
    /// The client entrusts a state. The house has checked its signatures, the authorisation
    /// included.
    Entrust(Mandate),
    /// How the channel stands on the ledger now.
    Ledger(Sighting),
    /// The moment that [`Watch::deadline`] named has come.
    Tick,
    /// The process started, and the journal was replayed.
    Restart,
}

/// What a watch decided: store the records, apply them, then carry out the effects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WatchStep {
    /// What to remember, first.
    pub records: vec::Vec<WatchRecord>,
    /// What to do, afterwards.
    pub effects: vec::Vec<WatchEffect>,
}

/// Why a tower declines what it is given. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchRefusal {
    /// The state belongs to another channel.
    OtherChannel,
    /// The state is not newer than the one that is held.
    NotNewer,
}

impl core::fmt::Display for WatchRefusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::OtherChannel => {
                "the state belongs to another channel; it was not taken, the tower goes on with what \
                 it has"
            }
            Self::NotNewer => {
                "the tower holds this state or a newer one; nothing changed, and nothing is to be done"
            }
        })
    }
}

impl core::error::Error for WatchRefusal {}

impl Watch {
    /// Watches the channel from version 0 on. Without a mandate there is nothing to answer with.
    #[must_use]
    pub const fn new(target: Target) -> Self {
        Self { target, mandate: None, answering: None }
    }

    /// Decides what to do about an input; changes nothing.
    pub fn step(
        &self,
        now: Time,
        retry_secs: u64,
        input: WatchInput,
    ) -> Result<WatchStep, WatchRefusal> {
        let deadline = now.after(retry_secs);
        match input {
            WatchInput::Entrust(mandate) => self.entrusted(mandate, deadline),
            WatchInput::Ledger(sighting) => Ok(match sighting.standing {
                Standing::Registered { state, .. } if self.is_known(&state) => WatchStep::default(),
                Standing::Registered { state, .. } => self.answer(state, 0, deadline),
                _ if self.answering.is_some() => {
                    WatchStep { records: vec![WatchRecord::Rested], effects: vec![] }
                }
                _ => WatchStep::default(),
            }),
            WatchInput::Tick => Ok(match &self.answering {
                Some(answering) if now >= answering.deadline => {
                    let attempt = answering.attempt.saturating_add(1);
                    self.answer(answering.registered.clone(), attempt, deadline)
                }
                _ => WatchStep::default(),
            }),
            WatchInput::Restart => {
                let mut effects = vec![WatchEffect::Watch(self.target.clone())];
                if let Some(answering) = &self.answering {
                    effects.extend(self.register(answering.attempt));
                }
                Ok(WatchStep { records: vec![], effects })
            }
        }
    }

    /// Takes over what a step decided.
    pub fn apply(&mut self, record: &WatchRecord) {
        match record {
            WatchRecord::Entrusted(mandate) => self.mandate = Some(mandate.clone()),
            WatchRecord::Answered { registered, attempt, deadline } => {
                let (registered, attempt, deadline) = (registered.clone(), *attempt, *deadline);
                self.answering = Some(Answering { registered, attempt, deadline });
            }
            WatchRecord::Rested => self.answering = None,
        }
    }

    /// When to step with [`WatchInput::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.answering.as_ref().map(|answering| answering.deadline)
    }

    fn entrusted(&self, mandate: Mandate, deadline: Time) -> Result<WatchStep, WatchRefusal> {
        if *mandate.signed.state().id() != self.target.id {
            return Err(WatchRefusal::OtherChannel);
        }
        let held = self.mandate.as_ref().map(|held| held.signed.state().version());
        if held.is_some_and(|held| mandate.signed.state().version() <= held) {
            return Err(WatchRefusal::NotNewer);
        }
        let first = vec![WatchRecord::Entrusted(mandate.clone())];
        let next = Self { mandate: Some(mandate), ..self.clone() };
        let answer = match &self.answering {
            Some(answering) => next.answer(answering.registered.clone(), 0, deadline),
            None => WatchStep::default(),
        };
        let records = first.into_iter().chain(answer.records).collect();
        Ok(WatchStep { records, effects: answer.effects })
    }

    /// A registration is answered only if it is older than what is held; one that is not is left
    /// alone.
    fn answer(&self, registered: State, attempt: u32, deadline: Time) -> WatchStep {
        let held = self.mandate.as_ref().map(|mandate| mandate.signed.state().version());
        if held.is_none_or(|held| registered.version() >= held) {
            let records = self.answering.is_some().then_some(WatchRecord::Rested);
            return WatchStep { records: records.into_iter().collect(), effects: vec![] };
        }
        WatchStep {
            records: vec![WatchRecord::Answered { registered, attempt, deadline }],
            effects: self.register(attempt).into_iter().collect(),
        }
    }

    fn register(&self, attempt: u32) -> Option<WatchEffect> {
        let mandate = self.mandate.clone()?;
        let slot = Slot { participant: self.target.index, delegate: true };
        Some(WatchEffect::Register { target: self.target.clone(), mandate, slot, attempt })
    }

    fn is_known(&self, state: &State) -> bool {
        self.answering.as_ref().is_some_and(|answering| answering.registered == *state)
    }
}
