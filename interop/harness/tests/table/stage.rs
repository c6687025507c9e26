//! What a scenario has: a chain with contracts, two parties, and what should be on the chain at its
//! end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256, keccak256};
use serde_json::{Value, json};

use crate::chain::{Chain, Contracts, address_of};
use crate::party::{Ask, Keys, Party, rows};
use crate::theirs::{Process, Theirs};
use crate::trouble::{Result, same};

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
}

/// Whatever is needed to start a party, and to start it again.
pub(crate) struct Role {
    who: &'static str,
    key: B256,
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
    ) -> Self {
        Self { chain, contracts, program, way, roles: Vec::new() }
    }

    /// Two parties with money, who accept what the other proposes. With `kept` they have folders.
    pub(crate) fn pair(&mut self, kept: bool) -> Result<Pair> {
        for who in ["ann", "bob"] {
            let role = Role::new(who, kept)?;
            let wallet = address_of(role.key)?;
            self.chain.give_coins(wallet)?;
            self.chain.give_tokens(self.contracts.token, wallet, TOKENS_EACH)?;
            self.roles.push(role);
        }
        let mut ann = self.start(0, if self.way.tls { "make" } else { "none" }, None)?;
        let keys = ann.here().tls.clone();
        let mut bob = self.start(1, if self.way.tls { "given" } else { "none" }, keys)?;
        for party in [&mut ann, &mut bob] {
            party.act(Ask::accepting())?;
        }
        let mut pair = [ann, bob];
        introduce(&mut pair)?;
        Ok(pair)
    }

    fn start(&self, index: usize, tls: &str, given: Option<Keys>) -> Result<Box<dyn Party>> {
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

    /// Starts a party again, with its folder and in its place, and has it find its channels.
    pub(crate) fn restart(&self, pair: &mut Pair, index: usize) -> Result<usize> {
        pair[index] = self.start(index, "none", None)?;
        pair[index].act(Ask::accepting())?;
        introduce(pair)?;
        Ok(pair[index].act(Ask::Restore {})?.len())
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
        let peer = pair[1 - opener].here().name.clone();
        let balances: Vec<_> = assets.iter().map(|(_, row)| *row).collect();
        let view = pair[opener].look(Ask::Propose {
            peer,
            challenge: CHALLENGE,
            assets: assets.iter().map(|(name, _)| *name).collect(),
            balances: rows(&balances),
            app: app.map(|(address, _)| address),
            data: app.map_or(&[][..], |(_, data)| data).into(),
        })?;
        let channel = view.channel;
        pair[1 - opener].wait("open the channel", &|event| event.is("channel", channel))?;
        same("the version of a new channel", view.version, 0)?;
        Ok(channel)
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

    /// What a party was paid, of coins and of tokens.
    pub(crate) fn received(&self, index: usize) -> Result<[u128; 2]> {
        let receiver = self.role(index)?.receiver;
        let tokens = self.chain.tokens_of(self.contracts.token, receiver)?;
        Ok([self.chain.coins_of(receiver)?, tokens])
    }

    /// Fails unless each was paid exactly this much in coins and in tokens.
    pub(crate) fn paid(&self, coins: [u128; 2], tokens: [u128; 2]) -> Result<()> {
        for (index, (coins, tokens)) in coins.into_iter().zip(tokens).enumerate() {
            let who = self.role(index)?.who;
            same(&format!("what {who} was paid"), self.received(index)?, [coins, tokens])?;
        }
        Ok(())
    }

    /// Asks the backend whether it knows the contracts' code: the adjudicator's, the coin's.
    pub(crate) fn known_code(&self) -> Result<[bool; 2]> {
        let role = Role::new("ann", false)?;
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
    fn new(who: &'static str, kept: bool) -> Result<Self> {
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
            receiver: Address::from_word(receiver),
            log: folder.join("log"),
            folder: kept.then_some(folder),
        })
    }
}

/// Tells each where the other is.
fn introduce(pair: &mut Pair) -> Result<()> {
    let places = [0, 1].map(|index| pair[index].here().clone());
    for (party, other) in pair.iter_mut().zip(places.into_iter().rev()) {
        party.act(Ask::Peer { name: other.name, host: other.host })?;
    }
    Ok(())
}
