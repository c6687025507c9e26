//! go-perun's handshake "ExchangeAddrs", as a machine without a socket.
//!
//! Each end shows, once for each of its addresses, a signature over all its addresses. That names
//! the peer and proves little: the signature is always the same, so whoever once received it can
//! show it again, and nothing binds it to the connection. What counts in a channel is signed by
//! other keys. The invariant: a handshake that is done had, in every round, the peer's one name,
//! our exact name as its recipient, and a signature that every address of the peer stands for.

use core::cmp::Ordering;

use perun_channel::BackendId;

use crate::address::Identities;
use crate::error::HandshakeError;
use crate::message::{Envelope, Message};

/// A wire address with its key.
pub trait Account {
    /// The address, as it is sent.
    fn address(&self) -> &[u8];
    /// A signature over these bytes, unless the key cannot sign.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>>;
}

/// Whether signatures of wire addresses are right, and which address is the smaller one.
pub trait Verifier {
    /// Whether the key of `address` signed `message`.
    fn proves(&self, address: &[u8], message: &[u8], signature: &[u8]) -> bool;
    /// The order of two addresses as go-perun's `Cmp` of their kind has it; that of their bytes,
    /// unless the kind has another. When two nodes dial each other at once, it decides which
    /// connection both keep.
    fn order(&self, one: &[u8], other: &[u8]) -> Ordering {
        one.cmp(other)
    }
}

/// Our own name with its proofs. The keys are asked once and not kept.
#[derive(Clone, Debug)]
pub struct Own {
    name: Identities,
    proofs: Vec<Vec<u8>>,
}

impl Own {
    /// The name that these accounts make.
    pub fn new(accounts: &[(BackendId, &dyn Account)]) -> Result<Self, HandshakeError> {
        let entry =
            |(backend, account): &(BackendId, &dyn Account)| (*backend, account.address().to_vec());
        let name = Identities::new(accounts.iter().map(entry).collect())
            .map_err(HandshakeError::OwnName)?;
        let message = signed_bytes(name.entries().iter().map(|(_, address)| address.as_slice()));
        // In the order of the name, so that each round has its own.
        let proof = |(backend, _): &(BackendId, Vec<u8>)| {
            let (_, account) = accounts.iter().find(|(kind, _)| kind == backend)?;
            account.sign(&message)
        };
        let proofs = name.entries().iter().map(proof).collect::<Option<_>>();
        let proofs = proofs.ok_or(HandshakeError::CannotSign)?;
        Ok(Self { name, proofs })
    }

    /// Our name.
    #[must_use]
    pub const fn name(&self) -> &Identities {
        &self.name
    }
}

/// The bytes that a handshake signs: how many addresses, and the addresses, with nothing between.
pub fn signed_bytes<'a>(addresses: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = vec![0];
    let mut count = 0_u8;
    for address in addresses {
        count = count.saturating_add(1);
        out.extend_from_slice(address);
    }
    if let Some(first) = out.first_mut() {
        *first = count;
    }
    out
}

/// What a handshake wants after an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to send.
    pub send: Option<Envelope>,
    /// The peer, once the handshake is done.
    pub done: Option<Identities>,
}

/// One handshake. Any error ends it, and the connection with it.
#[derive(Debug)]
pub struct Handshake<'a> {
    own: &'a Own,
    verifier: &'a dyn Verifier,
    /// Whom we dialled, or who dialled us, as soon as it is known.
    peer: Option<Identities>,
    dialled: bool,
    /// How many of the peer's answers were right.
    round: usize,
    over: bool,
}

impl core::fmt::Debug for dyn Verifier + '_ {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Verifier")
    }
}

impl<'a> Handshake<'a> {
    /// Begins as the end that dialled, and gives what to send first.
    pub fn dial(
        own: &'a Own,
        verifier: &'a dyn Verifier,
        peer: Identities,
    ) -> Result<(Self, Envelope), HandshakeError> {
        if peer == own.name {
            return Err(HandshakeError::Ourselves);
        }
        let peer = Some(peer);
        let handshake = Self { own, verifier, peer, dialled: true, round: 0, over: false };
        let first = handshake.proof()?;
        Ok((handshake, first))
    }

    /// Begins as the end that was dialled.
    #[must_use]
    pub const fn accept(own: &'a Own, verifier: &'a dyn Verifier) -> Self {
        Self { own, verifier, peer: None, dialled: false, round: 0, over: false }
    }

    /// Takes the peer's next envelope.
    pub fn handle(&mut self, envelope: Envelope) -> Result<Step, HandshakeError> {
        if core::mem::replace(&mut self.over, true) {
            return Err(HandshakeError::Over);
        }
        let Message::AuthResponse { signature } = envelope.message else {
            return Err(HandshakeError::UnexpectedMessage);
        };
        if envelope.recipient != self.own.name {
            return Err(HandshakeError::NotForUs);
        }
        if envelope.sender == self.own.name {
            return Err(HandshakeError::Ourselves);
        }
        if self.peer.as_ref().is_some_and(|peer| *peer != envelope.sender) {
            return Err(HandshakeError::WrongPeer);
        }
        if !is_proven(&envelope.sender, &signature, self.verifier) {
            return Err(HandshakeError::NotProven);
        }
        self.peer = Some(envelope.sender);
        // The end that was dialled answers each round; the one that dialled begins the next.
        let answer = if self.dialled { None } else { Some(self.proof()?) };
        self.round = self.round.saturating_add(1);
        if self.round == self.own.proofs.len() {
            return Ok(Step { send: answer, done: self.peer.take() });
        }
        let send = if self.dialled { Some(self.proof()?) } else { answer };
        self.over = false;
        Ok(Step { send, done: None })
    }

    /// Our signature for this round.
    fn proof(&self) -> Result<Envelope, HandshakeError> {
        let proof = self.own.proofs.get(self.round).ok_or(HandshakeError::Over)?;
        Ok(Envelope {
            sender: self.own.name.clone(),
            recipient: self.peer.clone().ok_or(HandshakeError::Over)?,
            message: Message::AuthResponse { signature: proof.clone() },
        })
    }
}

/// Whether every address of a name stands for the signature over all of them, in some order.
fn is_proven(name: &Identities, signature: &[u8], verifier: &dyn Verifier) -> bool {
    let addresses: Vec<&[u8]> = name.entries().iter().map(|(_, bytes)| bytes.as_slice()).collect();
    orders(&addresses).into_iter().any(|order| {
        let message = signed_bytes(order.iter().copied());
        addresses.iter().all(|address| verifier.proves(address, &message, signature))
    })
}

/// All orders of at most [`crate::MAX_IDENTITIES`] addresses, the given one first.
fn orders<'a>(addresses: &[&'a [u8]]) -> Vec<Vec<&'a [u8]>> {
    if addresses.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (position, first) in addresses.iter().enumerate() {
        let mut rest = addresses.to_vec();
        rest.remove(position);
        for mut order in orders(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key whose signatures are its address and the message.
    struct Plain(Vec<u8>);

    impl Account for Plain {
        fn address(&self) -> &[u8] {
            &self.0
        }
        fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
            Some([&self.0[..1], message].concat())
        }
    }

    /// Of one owner are addresses that begin with the same byte.
    struct Plainly;

    impl Verifier for Plainly {
        fn proves(&self, address: &[u8], message: &[u8], signature: &[u8]) -> bool {
            signature == [&address[..1], message].concat()
        }
    }

    fn own(addresses: &[&[u8]]) -> Own {
        let accounts: Vec<_> = addresses.iter().map(|bytes| Plain(bytes.to_vec())).collect();
        let kinds = (0..).map(BackendId::new);
        let accounts: Vec<(BackendId, &dyn Account)> =
            kinds.zip(accounts.iter().map(|account| account as &dyn Account)).collect();
        Own::new(&accounts).unwrap()
    }

    fn auth(sender: &Own, recipient: &Own, signature: Vec<u8>) -> Envelope {
        let (sender, recipient) = (sender.name.clone(), recipient.name.clone());
        Envelope { sender, recipient, message: Message::AuthResponse { signature } }
    }

    #[test]
    fn two_ends_with_as_many_addresses_learn_each_others_names() {
        for (one, two) in [
            (own(&[b"a"]), own(&[b"b"])),
            (own(&[b"a1", b"a2", b"a3"]), own(&[b"b1", b"b2", b"b3"])),
        ] {
            let (mut dial, first) = Handshake::dial(&one, &Plainly, two.name.clone()).unwrap();
            let mut accept = Handshake::accept(&two, &Plainly);
            let (mut send, mut rounds) = (Some(first), 0);
            let found = loop {
                let answer = accept.handle(send.unwrap()).unwrap();
                rounds += 1;
                let step = dial.handle(answer.send.unwrap()).unwrap();
                assert_eq!(answer.done.is_some(), step.done.is_some());
                if let Some(peer) = step.done {
                    assert_eq!(answer.done, Some(one.name.clone()));
                    break peer;
                }
                send = step.send;
            };
            assert_eq!((found, rounds), (two.name.clone(), one.proofs.len()));
            let again = auth(&two, &one, two.proofs[0].clone());
            assert_eq!(dial.handle(again), Err(HandshakeError::Over));
        }
    }

    #[test]
    fn there_is_no_name_without_addresses_or_without_their_signatures() {
        struct Mute;
        impl Account for Mute {
            fn address(&self) -> &[u8] {
                b"mute"
            }
            fn sign(&self, _: &[u8]) -> Option<Vec<u8>> {
                None
            }
        }
        assert!(matches!(Own::new(&[]), Err(HandshakeError::OwnName(_))));
        let mute = Own::new(&[(BackendId::ETHEREUM, &Mute)]);
        assert_eq!(mute.err(), Some(HandshakeError::CannotSign));
    }

    #[test]
    fn the_signed_bytes_are_the_known_ones() {
        let address = [0x11; 32];
        let expected = [&[1][..], &address].concat();
        assert_eq!(signed_bytes([address.as_slice()].into_iter()), expected);
    }

    /// go-perun signs its addresses in the order in which its map happens to give them.
    #[test]
    fn h19_a_signature_counts_in_whatever_order_it_was_made() {
        let (one, two) = (own(&[b"a1", b"a2", b"a3"]), own(&[b"b"]));
        for order in orders(&[b"a1", b"a2", b"a3"]) {
            let signature = Plain(b"a".to_vec()).sign(&signed_bytes(order.into_iter())).unwrap();
            let mut accept = Handshake::accept(&two, &Plainly);
            assert!(accept.handle(auth(&one, &two, signature)).is_ok());
        }
        assert_eq!(orders(&[b"1", b"2", b"3", b"4"]).len(), 24);
    }

    #[test]
    fn h12_whoever_does_not_prove_the_whole_name_is_refused() {
        let (one, two, three) = (own(&[b"a"]), own(&[b"b"]), own(&[b"c"]));
        let refused = |envelope| Handshake::accept(&two, &Plainly).handle(envelope).unwrap_err();
        let right = one.proofs[0].clone();
        assert_eq!(refused(auth(&one, &three, right.clone())), HandshakeError::NotForUs);
        assert_eq!(refused(auth(&three, &two, right.clone())), HandshakeError::NotProven);
        assert_eq!(refused(auth(&one, &two, vec![])), HandshakeError::NotProven);
        assert_eq!(refused(auth(&two, &two, two.proofs[0].clone())), HandshakeError::Ourselves);
        let ping = Envelope { message: Message::Ping { created_ns: 0 }, ..auth(&one, &two, right) };
        assert_eq!(refused(ping), HandshakeError::UnexpectedMessage);
        // One address of somebody else among them spoils the name.
        let mixed = own(&[b"a1", b"x2"]);
        assert_eq!(refused(auth(&mixed, &two, mixed.proofs[0].clone())), HandshakeError::NotProven);
    }

    #[test]
    fn whoever_is_dialled_answers_under_that_name() {
        let (one, two, three) = (own(&[b"a"]), own(&[b"b"]), own(&[b"c"]));
        let ourselves = Handshake::dial(&one, &Plainly, one.name.clone());
        assert_eq!(ourselves.err(), Some(HandshakeError::Ourselves));
        let (mut dial, _) = Handshake::dial(&one, &Plainly, two.name.clone()).unwrap();
        let other = auth(&three, &one, three.proofs[0].clone());
        assert_eq!(dial.handle(other), Err(HandshakeError::WrongPeer));
        let right = auth(&two, &one, two.proofs[0].clone());
        assert_eq!(dial.handle(right), Err(HandshakeError::Over), "an error is final");
    }

    #[test]
    fn a_peer_keeps_its_name_from_round_to_round() {
        let (two, one, other) = (own(&[b"b1", b"b2"]), own(&[b"a1", b"a2"]), own(&[b"c1", b"c2"]));
        let mut accept = Handshake::accept(&two, &Plainly);
        assert!(accept.handle(auth(&one, &two, one.proofs[0].clone())).is_ok());
        let changed = auth(&other, &two, other.proofs[1].clone());
        assert_eq!(accept.handle(changed), Err(HandshakeError::WrongPeer));
    }
}
