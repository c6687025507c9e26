//! What a scenario has: a chain with contracts, two parties, and what should be on the chain at its
//! end.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use perun_goperun::Serializer;
use serde_json::{Value, json};

use crate::chain::{Chain, Contracts, WALLET, address_of};
use crate::ours::{self, Ours};
use crate::party::{Ask, Here, Keys, PATIENCE, Party, rows};
use crate::relay::{Cut, relay};
use crate::theirs::{Process, Theirs};
use crate::trouble::{Result, same};
use crate::user::Memory;

/// Seconds in which a registered state can be answered: the least that our contracts take.
pub(crate) const CHALLENGE: u64 = 1_800;
/// What every wallet has of the token.
const TOKENS_EACH: u128 = 1_000_000_000_000;

/// How two parties talk.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    serializer: &'static str,
    tls: bool,
}

impl Way {
    pub(crate) const NATIVE: Self = Self { serializer: "native", tls: false };
    pub(crate) const PROTOBUF_TLS: Self = Self { serializer: "protobuf", tls: true };
    pub(crate) const PROTOBUF: Self = Self { serializer: "protobuf", tls: false };

    pub(crate) fn serializer(self) -> Result<Serializer> {
        match self.serializer {
            "native" => Ok(Serializer::Native),
            "protobuf" => Ok(Serializer::Protobuf),
            other => Err(format!("no serializer {other}").into()),
        }
    }
}

/// Who plays the two parties.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    TheirsTheirs,
    OursTheirs,
    TheirsOurs,
}

impl Cast {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TheirsTheirs => "theirs-theirs",
            Self::OursTheirs => "ours-theirs",
            Self::TheirsOurs => "theirs-ours",
        }
    }

    /// Which of them is our node.
    pub(crate) const fn ours(self) -> Option<usize> {
        match self {
            Self::TheirsTheirs => None,
            Self::OursTheirs => Some(0),
            Self::TheirsOurs => Some(1),
        }
    }
}

/// Whatever is needed to start a party, and to start it again.
pub(crate) struct Role {
    who: &'static str,
    key: B256,
    /// The block before its first transaction.
    since: u64,
    /// What it has brought into channels, of coins and tokens.
    put_in: Cell<[u128; 2]>,
    /// Notes of our node's user.
    memory: Arc<Memory>,
    /// Where withdrawals go: an account that had nothing.
    pub(crate) receiver: Address,
    folder: Option<PathBuf>,
    log: PathBuf,
}

pub(crate) struct Stage<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) contracts: &'a Contracts,
    program: &'a Path,
    way: Way,
    pub(crate) cast: Cast,
    roles: Vec<Role>,
}

/// Two parties who know each other.
pub(crate) type Pair = [Box<dyn Party>; 2];

impl<'a> Stage<'a> {
    pub(crate) const fn new(
        chain: &'a Chain,
        contracts: &'a Contracts,
        program: &'a Path,
        way: Way,
        cast: Cast,
    ) -> Self {
        Self { chain, contracts, program, way, cast, roles: Vec::new() }
    }

    /// Two parties with money, who accept what the other proposes. With `kept` they have folders.
    pub(crate) fn pair(&mut self, kept: bool) -> Result<Pair> {
        let mut pair = self.strangers(kept)?;
        self.introduce(&mut pair)?;
        Ok(pair)
    }

    /// The same with another two.
    pub(crate) const fn again(&self) -> Self {
        Self::new(self.chain, self.contracts, self.program, self.way, self.cast)
    }

    /// Two parties between whom the wire can be cut, with folders.
    pub(crate) fn wired(&mut self) -> Result<(Pair, Arc<Cut>)> {
        let mut pair = self.strangers(true)?;
        let cut = Arc::<Cut>::default();
        let ours = self.cast.ours().ok_or("there is no node of ours")?;
        let Here { name, host, .. } = pair[1 - ours].here().clone();
        let to = host.parse().map_err(|_| format!("{host} is no address"))?;
        let host = relay(to, self.way.serializer()?, &cut)?.to_string();
        pair[ours].act(Ask::Peer { name, host })?;
        Ok((pair, cut))
    }

    /// Two parties who do not know where the other is.
    pub(crate) fn strangers(&mut self, kept: bool) -> Result<Pair> {
        for who in ["ann", "bob"] {
            let role = Role::new(who, kept, self.chain.height()?)?;
            let wallet = address_of(role.key)?;
            self.chain.give_coins(wallet)?;
            self.chain.give_tokens(self.contracts.token, wallet, TOKENS_EACH)?;
            self.roles.push(role);
        }
        // Only go-perun's party makes certificates.
        let maker = self.cast.ours().map_or(0, |ours| 1 - ours);
        let first = self.start(maker, if self.way.tls { "make" } else { "none" }, None)?;
        let keys = first.here().tls.clone();
        let other = self.start(1 - maker, if self.way.tls { "given" } else { "none" }, keys)?;
        let mut pair = if maker == 0 { [first, other] } else { [other, first] };
        for party in &mut pair {
            party.act(Ask::accepting())?;
        }
        Ok(pair)
    }

    fn start(&self, index: usize, tls: &str, given: Option<Keys>) -> Result<Box<dyn Party>> {
        if self.cast.ours() == Some(index) {
            return self.start_ours(index, given.as_ref());
        }
        let role = self.role(index)?;
        let Contracts { adjudicator, coin_holder, token, token_holder, .. } = self.contracts;
        let mut settings = json!({
            "rpc": self.chain.socket_url(), "adjudicator": adjudicator,
            "assets": [
                { "name": "coin", "holder": coin_holder },
                { "name": "token", "holder": token_holder, "token": token },
            ],
            "key": role.key, "receiver": role.receiver, "serializer": self.way.serializer,
            "tls": tls, "given": given,
        });
        if let Some(folder) = &role.folder {
            settings["folder"] = json!(folder);
        }
        let process = Process::start(self.program, role.who, &role.log)?;
        Ok(Box::new(Theirs::start(process, &settings)?))
    }

    fn start_ours(&self, index: usize, given: Option<&Keys>) -> Result<Box<dyn Party>> {
        let role = self.role(index)?;
        let deployment = self.contracts.deployment.as_ref().ok_or("only on our contracts")?;
        let holder = self.contracts.token_holder;
        let settings = ours::Settings {
            who: role.who,
            url: self.chain.url(),
            deployment,
            assets: [("coin", deployment.coin()), ("token", deployment.asset(holder))],
            key: role.key,
            serializer: self.way.serializer()?,
            security: ours::security(given)?,
            folder: role.home(),
            memory: role.memory.clone(),
            log: &role.log,
        };
        Ok(Box::new(Ours::start(settings)?))
    }

    /// Tells each where the other is; or only our node, which dials at once. go-perun loses what it
    /// says while both dial.
    pub(crate) fn introduce(&self, pair: &mut Pair) -> Result<()> {
        match self.cast.ours() {
            Some(ours) => self.tell(pair, ours),
            None => (0..2).try_for_each(|index| self.tell(pair, index)),
        }
    }

    /// Tells this one where the other is.
    pub(crate) fn tell(&self, pair: &mut Pair, index: usize) -> Result<()> {
        let Here { name, host, .. } = pair[1 - index].here().clone();
        pair[index].act(Ask::Peer { name, host }).map(drop)
    }

    /// Starts a party again, with its folder and in its place, and has it find its channels.
    pub(crate) fn restart(&self, pair: &mut Pair, index: usize) -> Result<usize> {
        pair[index] = self.start(index, "none", None)?;
        pair[index].act(Ask::accepting())?;
        self.introduce(pair)?;
        let views = pair[index].act(Ask::Restore {})?;
        match views.iter().find(|view| view.balances.is_empty()) {
            Some(view) => Err(format!("a channel came back without a state: {view:?}").into()),
            None => Ok(views.len()),
        }
    }

    pub(crate) fn role(&self, index: usize) -> Result<&Role> {
        self.roles.get(index).ok_or_else(|| "no such party".into())
    }

    /// One of them opens a channel and both watch it; each row is an asset and what each brings.
    pub(crate) fn open(
        &self,
        pair: &mut Pair,
        opener: usize,
        assets: &[(&'static str, [u128; 2])],
        app: Option<(Address, &'static [u8])>,
    ) -> Result<B256> {
        let mut ask = self.proposal(pair, opener, CHALLENGE, assets);
        if let (Some((address, first)), Ask::Propose { app, data, .. }) = (app, &mut ask) {
            (*app, *data) = (Some(address), first.into());
        }
        let view = pair[opener].look(ask)?;
        let channel = view.channel;
        pair[1 - opener].wait("open the channel", &|event| event.is("channel", channel))?;
        same("the version of a new channel", view.version, 0)?;
        self.put_in(opener, assets)?;
        Ok(channel)
    }

    /// What asks for a channel.
    pub(crate) fn proposal(
        &self,
        pair: &Pair,
        opener: usize,
        challenge: u64,
        assets: &[(&'static str, [u128; 2])],
    ) -> Ask {
        let balances: Vec<_> = assets.iter().map(|(_, row)| *row).collect();
        Ask::Propose {
            peer: pair[1 - opener].here().name.clone(),
            challenge,
            assets: assets.iter().map(|(name, _)| *name).collect(),
            balances: rows(&balances),
            app: None,
            data: Bytes::new(),
        }
    }

    /// Notes what both have brought into a channel that this one opened.
    pub(crate) fn put_in(&self, opener: usize, assets: &[(&'static str, [u128; 2])]) -> Result<()> {
        for (name, row) in assets {
            for (index, amount) in [(opener, row[0]), (1 - opener, row[1])] {
                let role = self.role(index)?;
                let [mut coins, mut tokens] = role.put_in.get();
                *(if *name == "coin" { &mut coins } else { &mut tokens }) += amount;
                role.put_in.set([coins, tokens]);
            }
        }
        Ok(())
    }

    /// Both settle: one concludes, the other waits for that.
    pub(crate) fn settle(&self, pair: &mut Pair, first: usize, channel: B256) -> Result<()> {
        let [ticket, other] = [(first, false), (1 - first, true)]
            .map(|(who, secondary)| pair[who].ask(&Ask::Settle { channel, secondary }));
        for (who, ticket) in [(first, ticket?), (1 - first, other?)] {
            let views = pair[who].answer(ticket)?;
            same("the phase", views.first().map(|view| view.phase.as_str()), Some("Withdrawn"))?;
        }
        Ok(())
    }

    /// The versions that were registered or concluded, in their order.
    pub(crate) fn history(&self, channel: B256) -> Result<Vec<u64>> {
        self.chain.history(self.contracts.adjudicator, channel)
    }

    /// What there is of coins and tokens in the contracts.
    pub(crate) fn vaults(&self) -> Result<[u128; 2]> {
        let tokens = self.chain.tokens_of(self.contracts.token, self.contracts.vault())?;
        Ok([self.chain.coins_of(self.contracts.coin_holder)?, tokens])
    }

    /// What a party's wallet has: coins, of which it pays for gas, and tokens.
    pub(crate) fn wallet(&self, index: usize) -> Result<[u128; 2]> {
        let wallet = address_of(self.role(index)?.key)?;
        let tokens = self.chain.tokens_of(self.contracts.token, wallet)?;
        Ok([self.chain.coins_of(wallet)?, tokens])
    }

    /// What a party was paid, of coins and of tokens: what it has, wherever it has it, above what
    /// it would have if it had got nothing back.
    pub(crate) fn received(&self, index: usize) -> Result<[u128; 2]> {
        let role = self.role(index)?;
        let [coins, tokens] = self.wallet(index)?;
        let fees = self.chain.fees_of(address_of(role.key)?, role.since)?;
        let coins = coins + fees + self.chain.coins_of(role.receiver)?;
        let tokens = tokens + self.chain.tokens_of(self.contracts.token, role.receiver)?;
        let [coins_in, tokens_in] = role.put_in.get();
        let above = |has: u128, first: u128| has.checked_sub(first).ok_or("money is missing");
        Ok([above(coins + coins_in, WALLET)?, above(tokens + tokens_in, TOKENS_EACH)?])
    }

    /// What is missing of a party's coins, wherever it has them.
    pub(crate) fn missing(&self, index: usize) -> Result<u128> {
        let role = self.role(index)?;
        let fees = self.chain.fees_of(address_of(role.key)?, role.since)?;
        let has = self.wallet(index)?[0] + fees + self.chain.coins_of(role.receiver)?;
        Ok(WALLET.checked_sub(has).ok_or("money came out of nothing")?)
    }

    /// Looks at the chain until it shows this.
    pub(crate) fn until(&self, what: &str, done: &dyn Fn() -> Result<bool>) -> Result<()> {
        for _ in 0..5 * PATIENCE {
            if done()? {
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(200));
        }
        Err(format!("the chain never showed: {what}").into())
    }

    /// Fails unless each was paid exactly this much in coins and in tokens.
    pub(crate) fn paid(&self, coins: [u128; 2], tokens: [u128; 2]) -> Result<()> {
        for (index, (coins, tokens)) in coins.into_iter().zip(tokens).enumerate() {
            let who = self.role(index)?.who;
            same(&format!("what {who} was paid"), self.received(index)?, [coins, tokens])?;
        }
        Ok(())
    }

    /// The same for coins only, this one and the other.
    pub(crate) fn paid_both(&self, this: usize, its: u128, other: u128) -> Result<()> {
        self.paid(if this == 0 { [its, other] } else { [other, its] }, [0, 0])
    }

    /// Asks the backend whether it knows the contracts' code: the adjudicator's, the coin's.
    pub(crate) fn known_code(&self) -> Result<[bool; 2]> {
        let role = Role::new("ann", false, 0)?;
        let mut process = Process::start(self.program, role.who, &role.log)?;
        let Contracts { adjudicator, coin_holder, .. } = self.contracts;
        let told = process.call(
            "validate",
            &json!({
                "rpc": self.chain.socket_url(), "key": role.key,
                "adjudicator": adjudicator, "coin_holder": coin_holder,
            }),
        )?;
        let known = |name: &str| told.get(name).and_then(Value::as_bool).ok_or("no answer");
        Ok([known("adjudicator")?, known("coin_holder")?])
    }

    /// Where to read what the parties said beside their lines.
    pub(crate) fn last_words(&self) -> String {
        let logs = self.roles.iter().map(|role| format!("\n    see {}", role.log.display()));
        logs.collect()
    }
}

impl Role {
    fn new(who: &'static str, kept: bool, since: u64) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("parties");
        let folder = base.join(format!("{number}-{who}"));
        // What is there was left by an earlier run.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let key = keccak256(format!("the key of interop party {number}"));
        let receiver = keccak256(format!("the account of interop party {number}"));
        Ok(Self {
            who,
            key,
            since,
            put_in: Cell::default(),
            memory: Arc::default(),
            receiver: Address::from_word(receiver),
            log: folder.join("log"),
            folder: kept.then_some(folder),
        })
    }

    /// Where our node keeps its journal.
    pub(crate) fn home(&self) -> PathBuf {
        self.log.with_file_name("node")
    }

    /// Copies that, and says where the copy is.
    pub(crate) fn copy_home(&self) -> Result<PathBuf> {
        let copy = self.log.with_file_name("copy");
        copy_folder(&self.home(), &copy)?;
        Ok(copy)
    }

    /// Puts a copy in its place.
    pub(crate) fn put_home(&self, copy: &Path) -> Result<()> {
        std::fs::remove_dir_all(self.home())?;
        Ok(copy_folder(copy, &self.home())?)
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let into = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &into)?,
            false => std::fs::copy(entry.path(), into).map(drop)?,
        }
    }
    Ok(())
}
