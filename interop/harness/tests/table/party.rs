//! What a side of a channel can be asked for, whoever plays it.
//!
//! The words are those of the lines of JSON that `interop/go-perun/party` reads; a party of ours
//! takes the same values.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

use crate::trouble::{Result, Trouble};

/// Seconds that anything may take.
pub(crate) const PATIENCE: u64 = 60;

/// One side of channels: a client that runs, with its wallet.
pub(crate) trait Party {
    /// Where others find it, and who it is.
    fn here(&self) -> &Here;
    /// Begins something, which may take so many seconds. Many things may go on at once.
    fn ask_within(&mut self, seconds: u64, ask: &Ask) -> Result<Ticket>;
    /// Waits for what came of it: the channels that it was about, if any.
    fn answer(&mut self, ticket: Ticket) -> Result<Vec<View>>;
    /// Waits for something to happen by itself. What happened before and was not waited for counts.
    fn wait(&mut self, what: &str, wanted: &dyn Fn(&Event) -> bool) -> Result<Event>;
    /// Ends it as a failure of its machine would.
    fn kill(&mut self) -> Result<()>;

    fn ask(&mut self, ask: &Ask) -> Result<Ticket> {
        self.ask_within(PATIENCE, ask)
    }

    /// Asks and waits.
    fn act(&mut self, ask: Ask) -> Result<Vec<View>> {
        self.act_within(PATIENCE, ask)
    }

    fn act_within(&mut self, seconds: u64, ask: Ask) -> Result<Vec<View>> {
        let ticket = self.ask_within(seconds, &ask)?;
        self.answer(ticket)
    }

    /// The same, about one channel.
    fn look(&mut self, ask: Ask) -> Result<View> {
        let mut views = self.act(ask)?;
        views.pop().ok_or_else(|| Trouble::from("the answer tells nothing of a channel"))
    }
}

/// A question that was asked.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    pub(crate) what: &'static str,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Here {
    /// Where it listens.
    pub(crate) host: String,
    /// Its wire address, as the handshake has it.
    pub(crate) name: Bytes,
    /// What the other end of TLS needs.
    pub(crate) tls: Option<Keys>,
}

/// One end of TLS: its certificate and key, and the certificate of the other.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Keys {
    pub(crate) own: Bytes,
    pub(crate) key: Bytes,
    pub(crate) peer: Bytes,
}

/// An amount, in decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Money(pub(crate) u128);

impl TryFrom<String> for Money {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Money> for String {
    fn from(money: Money) -> Self {
        money.0.to_string()
    }
}

/// One row per asset, one column per party.
pub(crate) type Rows = Vec<[Money; 2]>;

pub(crate) fn rows(amounts: &[[u128; 2]]) -> Rows {
    amounts.iter().map(|row| row.map(Money)).collect()
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "do", content = "with", rename_all = "lowercase")]
pub(crate) enum Ask {
    Peer {
        name: Bytes,
        host: String,
    },
    Policy {
        proposals: &'static str,
        updates: &'static str,
    },
    Propose {
        peer: Bytes,
        challenge: u64,
        assets: Vec<&'static str>,
        balances: Rows,
        #[serde(skip_serializing_if = "Option::is_none")]
        app: Option<Address>,
        data: Bytes,
    },
    Sub {
        parent: B256,
        challenge: u64,
        balances: Rows,
    },
    Update(Change),
    /// A step of an app, on the chain.
    Force(Change),
    Settle {
        channel: B256,
        /// The other will probably conclude it.
        secondary: bool,
    },
    /// Registers an old state.
    Cheat {
        channel: B256,
        version: u64,
    },
    Watch {
        channel: B256,
    },
    State {
        channel: B256,
    },
    /// Reads its channels from its folder.
    Restore {},
}

impl Ask {
    pub(crate) const fn what(&self) -> &'static str {
        match self {
            Self::Peer { .. } => "meet",
            Self::Policy { .. } => "change its mind",
            Self::Propose { .. } => "open a channel",
            Self::Sub { .. } => "open a sub-channel",
            Self::Update(_) => "update",
            Self::Force(_) => "force a step",
            Self::Settle { .. } => "settle",
            Self::Cheat { .. } => "cheat",
            Self::Watch { .. } => "watch",
            Self::State { .. } => "tell a state",
            Self::Restore {} => "restore its channels",
        }
    }

    pub(crate) const fn accepting() -> Self {
        Self::Policy { proposals: "accept", updates: "accept" }
    }
}

/// An amount from whoever asks to the other, so many times; new data; whether the last is final.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Change {
    pub(crate) channel: B256,
    pub(crate) asset: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) amount: Option<Money>,
    pub(crate) times: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Bytes>,
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
}

impl Change {
    pub(crate) const fn pay(channel: B256, asset: usize, amount: u128, times: u32) -> Self {
        Self { channel, asset, amount: Some(Money(amount)), times, data: None, is_final: false }
    }

    /// The last state, with the balances that there are.
    pub(crate) const fn end(channel: B256) -> Self {
        Self { channel, asset: 0, amount: None, times: 1, data: None, is_final: true }
    }

    pub(crate) fn with_data(self, data: &'static [u8]) -> Self {
        Self { data: Some(Bytes::from_static(data)), ..self }
    }

    pub(crate) fn ending(self) -> Self {
        Self { is_final: true, ..self }
    }
}

/// How a channel stands for a party.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct View {
    pub(crate) channel: B256,
    pub(crate) version: u64,
    pub(crate) phase: String,
    pub(crate) balances: Rows,
    pub(crate) locked: Vec<B256>,
}

/// Something that happened by itself: a channel, a proposal, an update, or an event of the chain.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Event {
    pub(crate) event: String,
    pub(crate) channel: B256,
    pub(crate) kind: String,
    pub(crate) version: u64,
    pub(crate) text: String,
}

impl Event {
    pub(crate) fn is(&self, event: &str, channel: B256) -> bool {
        self.event == event && self.channel == channel
    }

    pub(crate) fn is_of_chain(&self, kind: &str, channel: B256, version: u64) -> bool {
        self.is("chain", channel) && self.kind == kind && self.version == version
    }
}
