//! An envelope in words, one field per line: the same lines as `interop/go-perun/kit/describe.go`.

use std::fmt::Display;

use perun_channel::{Address, Allocation, Amount, BackendId, Signature};
use perun_goperun::{
    Accept, AppState, ClaimedState, Envelope, Identities, Message, Party, Proposal, Update,
};

/// The bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn describe(envelope: &Envelope) -> Vec<String> {
    let mut lines = Lines(Vec::new());
    lines.add("from", name(&envelope.sender));
    lines.add("to", name(&envelope.recipient));
    lines.message(&envelope.message);
    lines.0
}

struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, name: &str, value: impl Display) {
        self.0.push(format!("{name} {value}"));
    }

    fn message(&mut self, message: &Message) {
        self.add("type", message.kind());
        match message {
            Message::Ping { created_ns } | Message::Pong { created_ns } => {
                self.add("created", created_ns);
            }
            Message::Shutdown { reason } => self.add("reason", hex(reason.as_bytes())),
            Message::AuthResponse { signature } => self.add("signature", hex(signature)),
            Message::LedgerProposal(message) => {
                self.proposal(&message.base);
                self.add("participant", party(&message.participant));
                self.add("peers", list(&message.peers, name));
            }
            Message::LedgerAccept(message) => self.accept(&message.base, &message.participant),
            Message::VirtualAccept(message) => self.accept(&message.base, &message.responder),
            Message::SubProposal(message) => {
                self.proposal(&message.base);
                self.add("parent", hex(message.parent.as_bytes()));
            }
            Message::SubAccept(Accept { proposal, nonce_share }) => {
                self.add("proposal", hex(proposal));
                self.add("share", hex(nonce_share));
            }
            Message::VirtualProposal(message) => {
                self.proposal(&message.base);
                self.add("participant", party(&message.proposer));
                self.add("peers", list(&message.peers, name));
                self.add("parents", list(&message.parents, |id| hex(id.as_bytes())));
                self.add("maps", list(&message.index_maps, |map| list(map, u16::to_string)));
            }
            Message::ProposalReject { proposal, reason } => {
                self.add("proposal", hex(proposal));
                self.add("reason", hex(reason.as_bytes()));
            }
            Message::Update(update) => self.update(update),
            Message::VirtualFunding(message) => {
                self.update(&message.update);
                self.claim(&message.initial);
                self.add("map", list(&message.index_map, u16::to_string));
            }
            Message::VirtualSettlement(message) => {
                self.update(&message.update);
                self.claim(&message.last);
            }
            Message::UpdateAccept { channel, version, signature } => {
                self.add("channel", hex(channel.as_bytes()));
                self.add("version", version);
                self.add("signature", hex(signature.as_bytes()));
            }
            Message::UpdateReject { channel, version, reason } => {
                self.add("channel", hex(channel.as_bytes()));
                self.add("version", version);
                self.add("reason", hex(reason.as_bytes()));
            }
            Message::Sync { phase, current } => {
                self.add("phase", phase);
                if let Some(current) = current {
                    self.state("", current.state());
                    self.add("signatures", list(current.signatures(), signature));
                }
            }
        }
    }

    fn proposal(&mut self, base: &Proposal) {
        self.add("proposal", hex(&base.id));
        self.add("challenge", base.challenge_secs);
        self.add("share", hex(&base.nonce_share));
        self.add("app", app(&base.app));
        self.add("data", hex(&base.data));
        self.outcome("", &base.outcome);
        self.add("funding", balances(&base.funding));
        self.add("aux", hex(&base.aux));
    }

    fn accept(&mut self, base: &Accept, participant: &Party) {
        self.add("proposal", hex(&base.proposal));
        self.add("share", hex(&base.nonce_share));
        self.add("participant", party(participant));
    }

    fn update(&mut self, update: &Update) {
        self.state("", &update.state);
        self.add("actor", update.actor);
        self.add("signature", hex(update.signature.as_bytes()));
    }

    fn claim(&mut self, claim: &ClaimedState) {
        let params = claim.params().params();
        self.add("params.id", hex(params.id().as_bytes()));
        self.add("params.challenge", params.challenge_secs());
        self.add("params.parties", list(claim.params().parties(), party));
        self.add("params.app", app(params.app()));
        self.add("params.nonce", hex(params.nonce()));
        let kind = format!("{} {}", params.is_ledger(), params.is_virtual());
        self.add("params.kind", kind);
        self.add("params.aux", hex(claim.params().aux()));
        self.state("virtual.", claim.transaction().state());
        let signatures = list(claim.transaction().signatures(), signature);
        self.add("virtual.signatures", signatures);
    }

    fn state(&mut self, prefix: &str, value: &AppState) {
        let state = value.state();
        self.add(&format!("{prefix}id"), hex(state.id().as_bytes()));
        self.add(&format!("{prefix}version"), state.version());
        self.add(&format!("{prefix}app"), app(value.app()));
        self.add(&format!("{prefix}data"), hex(state.data()));
        self.outcome(prefix, state.outcome());
        self.add(&format!("{prefix}final"), state.is_final());
    }

    fn outcome(&mut self, prefix: &str, outcome: &Allocation) {
        let assets = list(outcome.assets(), |asset| {
            format!("{}:{}", asset.backend().get(), hex(&asset_bytes(asset)))
        });
        self.add(&format!("{prefix}assets"), assets);
        self.add(&format!("{prefix}balances"), balances(outcome.balances()));
        for entry in outcome.locked() {
            let (id, map) = (hex(entry.id().as_bytes()), list(entry.index_map(), u16::to_string));
            let amounts = list(entry.balances(), Amount::to_string);
            self.add(&format!("{prefix}locked"), format!("{id} {amounts} {map}"));
        }
    }
}

/// Written apart from the crate's own way, from the description of the format.
fn asset_bytes(asset: &perun_channel::Asset) -> Vec<u8> {
    if asset.backend() != BackendId::ETHEREUM {
        return asset.foreign().to_vec();
    }
    let chain = asset.chain().to_be_bytes();
    let chain = &chain[asset.chain().leading_zeros() as usize / 8..];
    let length = u16::try_from(chain.len()).unwrap().to_le_bytes();
    [&length[..], chain, &[1, 0, 0, 0, 20, 0], asset.holder().as_bytes()].concat()
}

fn app(app: &Address) -> String {
    if *app == Address::ZERO { String::new() } else { hex(app.as_bytes()) }
}

fn signature(place: &Option<Signature>) -> String {
    place.map_or_else(|| "-".to_owned(), |signature| hex(signature.as_bytes()))
}

fn name(name: &Identities) -> String {
    list(name.entries(), |(kind, bytes)| format!("{}:{}", kind.get(), hex(bytes)))
}

fn party(party: &Party) -> String {
    let signer = (BackendId::ETHEREUM, party.participant().address().as_bytes().to_vec());
    let foreign =
        party.foreign_backend().map(|kind| (kind, party.participant().foreign().to_vec()));
    let mut entries: Vec<_> = [signer].into_iter().chain(foreign).collect();
    entries.sort();
    list(&entries, |(kind, bytes)| format!("{}:{}", kind.get(), hex(bytes)))
}

fn balances(balances: &[Vec<Amount>]) -> String {
    list(balances, |row| list(row, Amount::to_string))
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(","))
}
