//! What a transaction does to a channel: for programs with every name in full, for people in a few
//! words.
//!
//! The invariant: it is read from the transaction itself, and not from what somebody meant by it.

use crate::inspect;
use crate::text::hex;
use ckb_types::packed::BytesVec;
use perun_backend_evm::abi::call::Call;
use perun_channel::adjudicator::Action;
use serde::Serialize;

/// Something done to a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// The action of CKB's script, or the function of Ethereum's hub.
    pub action: &'static str,
    /// The channel's id, where the transaction says which.
    pub channel: Option<String>,
    /// The version of the state that it shows, if it shows one. As a text: they use all 64 bits.
    pub version: Option<String>,
}

impl Deed {
    /// What the witnesses of a transaction on CKB do.
    #[must_use]
    pub fn on_ckb(witnesses: &BytesVec) -> Vec<Self> {
        inspect::actions_in(witnesses).iter().map(Self::of_action).collect()
    }

    /// What a transaction to Ethereum's hub does.
    #[must_use]
    pub fn on_ethereum(input: &[u8]) -> Vec<Self> {
        let deed = Call::read(input).map(|call| Self {
            action: call.name,
            channel: call.channel.map(|id| hex::full(id.as_bytes())),
            version: call.version.map(|version| version.to_string()),
        });
        deed.into_iter().collect()
    }

    fn of_action(action: &Action) -> Self {
        let version = inspect::version_in(action).map(|version| version.to_string());
        let channel = Some(hex::full(action.setup().id().as_bytes()));
        Self { action: inspect::action_name(action), channel, version }
    }

    /// Whether it is allowed because all consent, and not for what it is.
    #[must_use]
    pub fn is_consent(&self) -> bool {
        matches!(self.action, "coop_spend" | "spendByConsent")
    }

    /// For people, without the channel.
    #[must_use]
    pub fn words(&self) -> String {
        let with = |verb: &str| match &self.version {
            Some(version) => format!("{verb} version {version}"),
            None => verb.to_owned(),
        };
        match self.action {
            "create" => "makes the channel".to_owned(),
            "fund" | "open" | "deposit" => "deposits".to_owned(),
            "abort_funding" => "returns deposits".to_owned(),
            "bindPayee" => "names who is paid".to_owned(),
            "register" => with("registers"),
            "close_final" | "closeAndPay" | "concludeFinal" => with("closes with"),
            "withdraw" | "withdrawMany" => "pays out".to_owned(),
            "coop_spend" | "spendByConsent" => "moves money by consent".to_owned(),
            name if name.starts_with("conclude") => with("concludes with"),
            name => name.to_owned(),
        }
    }

    /// For people, with the channel.
    #[must_use]
    pub fn sentence(&self) -> String {
        let id = self.channel.as_deref().and_then(|id| hex::parse(id).ok());
        let id = id.map(|id| format!(": channel {}", hex::short(&id)));
        self.words() + &id.unwrap_or_default()
    }
}

/// What a whole transaction does, for people; nothing of none.
#[must_use]
pub fn words(deeds: &[Deed]) -> String {
    let mut told: Vec<(String, usize)> = Vec::new();
    for words in deeds.iter().map(Deed::words) {
        match told.iter_mut().find(|(known, _)| *known == words) {
            Some((_, times)) => *times += 1,
            None => told.push((words, 1)),
        }
    }
    let told = told.into_iter().map(|(words, times)| match times {
        1 => words,
        times => format!("{words}, {times} times"),
    });
    told.collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_one_kind_are_counted_and_the_channel_is_shortened_for_people_only() {
        let deed = |action, version: Option<&str>| Deed {
            action,
            channel: Some(hex::full(&[0xab; 32])),
            version: version.map(str::to_owned),
        };
        let register = deed("register", Some("3"));
        assert_eq!(register.sentence(), "registers version 3: channel 0xababab…ababab");
        let json = serde_json::to_string(&register).unwrap();
        assert!(json.contains(&"ab".repeat(32)) && json.contains("\"version\":\"3\""), "{json}");
        let many = [deed("create", Some("0")), deed("create", Some("0")), register];
        assert_eq!(words(&many), "makes the channel, 2 times and registers version 3");
        assert_eq!(words(&[deed("concludeAndPay", Some("4"))]), "concludes with version 4");
        assert_eq!(words(&[]), "");
    }
}
