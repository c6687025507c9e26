//! Our node, in this process: with its wallet, its journal in a folder, and go-perun's manners.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, Bytes, keccak256};
use perun_backend_evm::Deployment;
use perun_backend_evm::account::KeyAccount;
use perun_backend_evm::follow::{Depth, DepthTable};
use perun_backend_evm::rpc::HttpRpc;
use perun_channel::{Allocation, Amount, Asset, BackendId, State};
use perun_goperun::simple::{Account, SimpleVerifier};
use perun_goperun::tcp::{Local, Security};
use perun_goperun::{Identities, Own, Serializer};
use perun_node::{
    AnyLedger, EvmLedger, EvmOptions, Node, NodeError, NodeOptions, OpenRequest, SessionKey,
    Status, system_clock,
};
use perun_protocol::{
    Command, Config, DeclineReason, Ending, Event as Told, FailureReason, Memo, OpeningId,
    PaymentId, PhaseName,
};
use perun_store::Durability;

use crate::party::{Ask, Change, Event, Here, Money, Party, Ticket, View};
use crate::tls;
use crate::trouble::{Result, Trouble};
use crate::user::{Memory, User};

/// How often the chain is looked at. A scenario waits for nothing else.
const POLL: Duration = Duration::from_millis(100);
/// Blocks that bury what money depends on.
const DEPTH: u32 = 1;
/// The waits of a node whose user has no patience: the challenges here are as short as can be.
const CONFIG: Waits = Waits { answer: 5, user: 20, fund: 30, commit: 300 };

struct Waits {
    answer: u64,
    user: u64,
    fund: u64,
    commit: u64,
}

/// Whatever is needed to start our node.
pub(crate) struct Settings<'a> {
    pub(crate) who: &'static str,
    pub(crate) url: String,
    pub(crate) deployment: &'a Deployment,
    pub(crate) assets: [(&'static str, Asset); 2],
    /// The wallet's key; its other keys hang on it.
    pub(crate) key: B256,
    pub(crate) serializer: Serializer,
    pub(crate) security: Security,
    pub(crate) folder: PathBuf,
    /// What the user remembers of an earlier run.
    pub(crate) memory: Arc<Memory>,
    pub(crate) log: &'a Path,
}

pub(crate) struct Ours {
    who: &'static str,
    here: Here,
    /// Nothing after it was killed.
    node: Option<Arc<Node>>,
    user: User,
    assets: [(&'static str, Asset); 2],
    tickets: BTreeMap<u64, Pending>,
    last_id: u64,
}

/// What is waited for, since when in the user's log, and until when.
struct Pending {
    aim: Aim,
    since: usize,
    until: Instant,
}

enum Aim {
    Nothing(Vec<View>),
    Open(OpeningId),
    /// This payment, and so many after it; then the end, if it is wanted.
    Pay(OpeningId, PaymentId, Change),
    Close(OpeningId),
    Settle(OpeningId),
}

impl Aim {
    const fn what(&self) -> &'static str {
        match self {
            Self::Nothing(_) => "answer",
            Self::Open(_) => "open a channel",
            Self::Pay(..) => "update",
            Self::Close(_) => "close",
            Self::Settle(_) => "settle",
        }
    }
}

impl Ours {
    /// Starts it, on whatever there is in its folder.
    pub(crate) fn start(settings: Settings<'_>) -> Result<Self> {
        let Settings { who, key, .. } = settings;
        let derived = |what: &str| keccak256([key.as_slice(), what.as_bytes()].concat()).0;
        let account = Account::new(&format!("{who} {key}"), &wire_key()?);
        let account = account.map_err(|error| error.to_string())?;
        let own = Own::new(&[(BackendId::ETHEREUM, &account)]).map_err(|it| it.to_string())?;
        let began = Instant::now();
        let local = Local {
            own,
            verifier: Box::new(SimpleVerifier),
            serializer: settings.serializer,
            security: settings.security,
            clock: Box::new(move || began.elapsed()),
        };
        let session = SessionKey::from_secret(derived("session")).ok_or("no session key")?;
        let config = Config {
            answer_secs: CONFIG.answer,
            user_secs: CONFIG.user,
            fund_secs: CONFIG.fund,
            commit_secs: CONFIG.commit,
            ..Config::default()
        };
        let options = NodeOptions {
            journal: settings.folder.join("journal"),
            mark: settings.folder.join("mark"),
            durability: Durability::Relaxed,
            identity: derived("identity"),
            session,
            config,
            // The user is asked, and decides by its policy.
            accept_proposals: false,
            poll: Some(POLL),
            clock: system_clock(),
            go_perun: Some(local),
        };
        let evm = EvmOptions::confirmed_by(DepthTable::uniform(Depth::Blocks(DEPTH)));
        let (rpc, wallet) = (HttpRpc::new(settings.url), KeyAccount::new(key.0)?);
        let deployment = settings.deployment.clone();
        let ledger = EvmLedger::new(Arc::new(rpc), deployment, Arc::new(wallet), evm);
        let ledgers = vec![AnyLedger::deposit(ledger.map_err(|error| error.to_string())?)];
        let node = Arc::new(Node::start(options, ledgers)?);
        let host = node.listen_go_perun((Ipv4Addr::LOCALHOST, 0).into())?.to_string();
        let name = account.public().to_bytes().into();
        let user = User::start(node.clone(), settings.memory, settings.log)?;
        Ok(Self {
            who,
            here: Here { host, name, tls: None },
            node: Some(node),
            user,
            assets: settings.assets,
            tickets: BTreeMap::new(),
            last_id: 0,
        })
    }

    fn node(&self) -> Result<&Node> {
        self.node.as_deref().ok_or_else(|| format!("{} was killed", self.who).into())
    }

    fn opening(&self, channel: B256) -> Result<OpeningId> {
        let found = self.user.memory().opening(channel);
        found.ok_or_else(|| format!("{} has no channel {channel}", self.who).into())
    }

    fn status(&self, opening: OpeningId) -> Result<Status> {
        let status = self.node()?.status(opening)?;
        status.ok_or_else(|| format!("{} knows nothing of {opening:?}", self.who).into())
    }

    fn view(&self, opening: OpeningId) -> Result<View> {
        let status = self.status(opening)?;
        let agreed = status.agreed.map(|agreed| agreed.state);
        let state = self.user.memory().newest(opening, agreed);
        let state = state.ok_or_else(|| format!("{} has no state yet", self.who))?;
        let phase = match status.phase {
            PhaseName::Settled => "Withdrawn".to_owned(),
            phase => format!("{phase:?}"),
        };
        Ok(view(&state, phase))
    }

    fn begin(&self, ask: &Ask) -> Result<Aim> {
        let node = self.node()?;
        let nothing = || Aim::Nothing(Vec::new());
        Ok(match ask {
            Ask::Peer { name, host } => {
                let at: SocketAddr = host.parse().map_err(|_| format!("{host} is no address"))?;
                node.dial_go_perun(identities(name)?, at)?;
                nothing()
            }
            Ask::Policy { proposals, .. } => {
                self.user.accepts(*proposals == "accept");
                nothing()
            }
            Ask::Propose { peer, challenge, assets, balances, .. } => {
                let assets = assets.iter().map(|name| self.asset(name)).collect::<Result<_>>()?;
                let row = |row: &[Money; 2]| row.map(|money| Amount::new(money.0)).to_vec();
                let rows = balances.iter().map(row).collect();
                let outcome = Allocation::new(assets, rows, vec![]);
                let outcome = outcome.map_err(|error| error.to_string())?;
                let request = OpenRequest { challenge_secs: *challenge, outcome };
                Aim::Open(node.open_go_perun(identities(peer)?, request)?)
            }
            Ask::Update(change) => {
                let opening = self.opening(change.channel)?;
                self.next(opening, change.clone())?
            }
            Ask::Settle { channel, .. } => {
                let opening = self.opening(*channel)?;
                let status = self.status(opening)?;
                let ends = status.agreed.is_some_and(|agreed| agreed.state.is_final());
                if !ends && is_alive(status.phase) {
                    node.command(opening, Command::Dispute)?;
                }
                Aim::Settle(opening)
            }
            // It watches whatever it has.
            Ask::Watch { .. } => nothing(),
            Ask::State { channel } => Aim::Nothing(vec![self.view(self.opening(*channel)?)?]),
            Ask::Restore {} => {
                let openings = self.user.memory().openings();
                let views = openings.into_iter().map(|opening| self.view(opening));
                Aim::Nothing(views.collect::<Result<_>>()?)
            }
            Ask::Sub { .. } | Ask::Force(_) | Ask::Cheat { .. } => {
                return Err(format!("our node does not {}", ask.what()).into());
            }
        })
    }

    /// The next payment of a change, or its end.
    fn next(&self, opening: OpeningId, change: Change) -> Result<Aim> {
        match change.amount {
            Some(Money(amount)) if change.times > 0 => {
                let asset = u8::try_from(change.asset).map_err(|_| "no such asset")?;
                let amount = Amount::new(amount);
                let id = self.node()?.pay(opening, asset, amount, Memo::default())?;
                let times = change.times - 1;
                Ok(Aim::Pay(opening, id, Change { times, ..change }))
            }
            _ if change.is_final => {
                self.node()?.command(opening, Command::Close)?;
                Ok(Aim::Close(opening))
            }
            _ => Ok(Aim::Nothing(vec![self.view(opening)?])),
        }
    }

    fn asset(&self, name: &str) -> Result<Asset> {
        let found = self.assets.iter().find(|(known, _)| *known == name);
        found.map(|(_, asset)| asset.clone()).ok_or_else(|| format!("no asset {name}").into())
    }

    fn refuses(&self, what: &str, kind: &str, text: impl Into<String>) -> Trouble {
        let (who, what, kind) = (self.who.to_owned(), what.to_owned(), kind.to_owned());
        Trouble::Refused { who, what, kind, text: text.into() }
    }

    /// What an aim has come to, given everything that was told since.
    fn reached(&self, aim: &Aim, told: &[(OpeningId, Told)]) -> Result<Reached> {
        let opening = match aim {
            Aim::Nothing(views) => return Ok(Reached::End(views.clone())),
            Aim::Pay(opening, ..)
            | Aim::Open(opening)
            | Aim::Close(opening)
            | Aim::Settle(opening) => *opening,
        };
        for (_, event) in told.iter().filter(|(of, _)| *of == opening) {
            match (aim, event) {
                (Aim::Pay(_, id, change), Told::PaymentSent(sent)) if sent >= id => {
                    return Ok(Reached::Next(self.next(opening, change.clone())?));
                }
                (Aim::Open(_), Told::Opened { .. }) => {
                    return Ok(Reached::End(vec![self.view(opening)?]));
                }
                _ => {}
            }
            if let Some(kind) = failure(aim, event) {
                return Err(self.refuses(aim.what(), kind, format!("{event:?}")));
            }
        }
        let is_there = match aim {
            Aim::Close(_) => {
                let agreed = self.status(opening)?.agreed;
                agreed.is_some_and(|agreed| agreed.state.is_final())
            }
            Aim::Settle(_) => self.status(opening)?.phase == PhaseName::Settled,
            _ => false,
        };
        match is_there {
            true => Ok(Reached::End(vec![self.view(opening)?])),
            false => Ok(Reached::NotYet),
        }
    }
}

enum Reached {
    NotYet,
    Next(Aim),
    End(Vec<View>),
}

/// Whether an event says that an aim will not be reached, and how.
fn failure(aim: &Aim, event: &Told) -> Option<&'static str> {
    match (aim, event) {
        (Aim::Pay(_, id, _), Told::PaymentFailed { id: failed, why }) if failed == id => {
            Some(if *why == FailureReason::Refused { "rejected" } else { "failed" })
        }
        (Aim::Close(_), Told::CloseRefused(_))
        | (Aim::Open(_), Told::Ended(Ending::Declined { reason: DeclineReason::User {} })) => {
            Some("rejected")
        }
        (Aim::Open(_), Told::Ended(_) | Told::OpeningFailed(_))
        | (Aim::Settle(_), Told::Ended(_)) => Some("failed"),
        _ => None,
    }
}

/// Whether the ledger has not been asked to end the channel yet.
const fn is_alive(phase: PhaseName) -> bool {
    use PhaseName as P;
    matches!(phase, P::Open | P::Updating | P::CloseAsked | P::Frozen)
}

fn identities(name: &Bytes) -> Result<Identities> {
    let entries = vec![(BackendId::ETHEREUM, name.to_vec())];
    Identities::new(entries).map_err(|error| error.to_string().into())
}

fn view(state: &State, phase: String) -> View {
    let outcome = state.outcome();
    let money =
        |row: usize, side: usize| Money(outcome.balance(row, side).unwrap_or_default().get());
    let rows = 0..outcome.assets().len();
    View {
        channel: B256::from(*state.id().as_bytes()),
        version: state.version().get(),
        phase,
        balances: rows.map(|row| [money(row, 0), money(row, 1)]).collect(),
        locked: Vec::new(),
    }
}

/// The committed key for tests; names tell parties apart.
fn wire_key() -> Result<Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/goperun-wire-key.json");
    let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let key: Option<Bytes> = file["pkcs8"].as_str().and_then(|text| text.parse().ok());
    Ok(key.ok_or("no wire key")?.to_vec())
}

impl Party for Ours {
    fn here(&self) -> &Here {
        &self.here
    }

    fn ask_within(&mut self, seconds: u64, ask: &Ask) -> Result<Ticket> {
        let since = self.user.length();
        let aim = match self.begin(ask) {
            Err(Trouble::Node(NodeError::Declined(why))) => {
                return Err(self.refuses(ask.what(), "failed", why.to_string()));
            }
            aim => aim?,
        };
        let until = Instant::now() + Duration::from_secs(seconds);
        self.last_id += 1;
        self.tickets.insert(self.last_id, Pending { aim, since, until });
        Ok(Ticket { id: self.last_id, what: ask.what() })
    }

    fn answer(&mut self, ticket: Ticket) -> Result<Vec<View>> {
        let pending = self.tickets.remove(&ticket.id).ok_or("it was answered already")?;
        let Pending { mut aim, since, until } = pending;
        let mut since = since;
        loop {
            let told = self.user.since(since);
            match self.reached(&aim, &told)? {
                Reached::End(views) => return Ok(views),
                Reached::Next(next) => {
                    since = self.user.length().min(since + told.len());
                    aim = next;
                    continue;
                }
                Reached::NotYet => {}
            }
            if Instant::now() >= until {
                return Err(self.refuses(ticket.what, "timeout", "nothing came of it"));
            }
            self.user.wait_beyond(since + told.len(), Duration::from_millis(50));
        }
    }

    fn wait(&mut self, what: &str, wanted: &dyn Fn(&Event) -> bool) -> Result<Event> {
        let found = self.user.event(wanted);
        found.ok_or_else(|| format!("{} is silent while it should {what}", self.who).into())
    }

    fn kill(&mut self) -> Result<()> {
        self.user.stop();
        self.node = None;
        Ok(())
    }
}

/// What TLS needs of our side.
pub(crate) fn security(keys: Option<&crate::party::Keys>) -> Result<Security> {
    keys.map_or(Ok(Security::None), tls::security)
}
