//! One swap of the scene of silence: two houses, their wallets on both chains, one channel.

use std::sync::Arc;

use ckb_types::packed::Script;
use perun_backend_ckb::wallet::Wallet;
use perun_backend_evm::account::KeyAccount;
use perun_channel::Allocation;
use perun_node::{AnyLedger, OpenRequest, Status};
use perun_protocol::{Command, Config, OpeningId, PhaseName, Time};

use super::cuts::{asked, fresh_opening, yes};
use super::party::{ledger, secret, wallet_of};
use super::scenes::CHALLENGE_SECS;
use super::stage::Stage;
use super::wire::Link;
use super::{Failure, words};

/// How a swap goes if nobody falls silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Plot {
    AliceAsks,
    BobAsks,
    /// Alice asks, and thinks better of it before Bob has answered.
    AliceTakesBack,
}

impl Plot {
    pub(super) const ALL: [Self; 3] = [Self::AliceAsks, Self::BobAsks, Self::AliceTakesBack];

    /// Who asks for the swap: 0 is Alice.
    pub(super) const fn proposer(self) -> usize {
        match self {
            Self::AliceAsks | Self::AliceTakesBack => 0,
            Self::BobAsks => 1,
        }
    }

    pub(super) const fn told(self) -> &'static str {
        match self {
            Self::AliceAsks => "Alice asks for the swap",
            Self::BobAsks => "Bob asks for the swap",
            Self::AliceTakesBack => "Alice asks, and takes it back",
        }
    }
}

pub(super) struct Trial {
    pub(super) plot: Plot,
    /// After how many messages of the swap Bob falls silent.
    pub(super) cut: Option<usize>,
    pub(super) link: Link,
    pub(super) locks: [Script; 2],
    pub(super) wallets: [Arc<KeyAccount>; 2],
    opening: OpeningId,
}

impl Trial {
    /// Two people with ether, and nothing on CKB yet.
    pub(super) fn new(
        stage: &Stage,
        config: Config,
        plot: Plot,
        cut: Option<usize>,
    ) -> Result<Self, Failure> {
        let person = || -> Result<(Script, Arc<KeyAccount>, Vec<AnyLedger>), Failure> {
            let keys = wallet_of(stage, secret()?)?;
            let lock = keys.locks().first().ok_or("a wallet without a lock")?.script.clone();
            let wallet = stage.ethereum.wallet(0)?;
            let on_ethereum = stage.ethereum.ledger(wallet.clone())?;
            let on_ckb = ledger(stage, Arc::new(keys))?;
            let ledgers = vec![AnyLedger::joint(on_ckb), AnyLedger::deposit(on_ethereum)];
            Ok((lock, wallet, ledgers))
        };
        let ((lock, wallet, hers), (his_lock, his_wallet, his)) = (person()?, person()?);
        let link = Link::new(config, [hers, his])?;
        let opening = fresh_opening()?;
        let (locks, wallets) = ([lock, his_lock], [wallet, his_wallet]);
        Ok(Self { plot, cut, link, locks, wallets, opening })
    }

    /// Alice asks for the channel.
    pub(super) fn ask(&mut self, now: Time, outcome: Allocation) -> Result<(), Failure> {
        let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
        let alice = &mut self.link.homes[0];
        alice.house.open(now, self.opening, alice.peer, &request).map_err(words)?;
        alice.house.finish_round(now).map_err(words)?;
        self.link.run(now)
    }

    /// Whether Bob is still there.
    fn is_bob_here(&self) -> bool {
        !self.link.is_cut()
    }

    pub(super) fn status(&self, side: usize) -> Result<Status, Failure> {
        let status = self.link.homes[side].house.status(self.opening);
        status.ok_or_else(|| "a house that does not know its channel".into())
    }

    pub(super) fn both(&self, phase: PhaseName) -> Result<bool, Failure> {
        Ok(self.status(0)?.phase == phase && self.status(1)?.phase == phase)
    }

    pub(super) fn command(
        &mut self,
        side: usize,
        now: Time,
        command: Command,
    ) -> Result<(), Failure> {
        let house = &mut self.link.homes[side].house;
        house.command(now, self.opening, command).map_err(words)?;
        house.finish_round(now).map_err(words)?;
        self.link.run(now)
    }

    /// One asks for the swap, and the other, when asked, agrees.
    pub(super) fn swap(&mut self, now: Time, swap: Command) -> Result<(), Failure> {
        let proposer = self.plot.proposer();
        self.command(proposer, now, swap)?;
        if self.plot == Plot::AliceTakesBack {
            return self.command(0, now, Command::CancelSwap);
        }
        let other = 1 - proposer;
        let here = other == 0 || self.is_bob_here();
        if here && self.link.homes[other].find(asked).is_some() {
            self.command(other, now, yes())?;
        }
        Ok(())
    }

    /// Those who are there look at both chains.
    pub(super) fn look(&mut self, now: Time) -> Result<(), Failure> {
        let people = if self.is_bob_here() { 2 } else { 1 };
        for home in self.link.homes.iter_mut().take(people) {
            home.house.sync_ledgers(now).map_err(words)?;
        }
        self.link.run(now)
    }

    /// Alice's deadlines pass.
    pub(super) fn tick(&mut self, now: Time) -> Result<(), Failure> {
        self.link.homes[0].house.tick(now).map_err(words)?;
        self.link.run(now)
    }
}
