//! Two ends in memory, joined by a link that a seed can cut, tear, repeat and reorder.
#![allow(dead_code)]

use perun_wire::{
    Connection, Event, Expect, Handshake, Identity, Incarnation, PeerId, Receipt, Session, Time,
    WireError,
};

/// A small generator, so that a run is its seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.roll(256) as u8)
    }
}

pub(crate) const NOW: Time = Time(1_000);

pub(crate) fn identity(n: u8) -> Identity {
    Identity::from_secret([n; 32])
}

/// Runs a handshake between two ends; the connections, dialer first.
pub(crate) fn connect(dialer: u8, listener: u8, dice: &mut Dice) -> (Connection, Connection) {
    let expect = Expect::Exactly(identity(listener).peer_id());
    let mut dial = Handshake::dial(&identity(dialer), expect, dice.bytes(), NOW).unwrap();
    let mut accept =
        Handshake::accept(&identity(listener), Expect::Anyone, dice.bytes(), NOW).unwrap();
    shake(&mut dial, &mut accept).unwrap();
    (dial.finish().unwrap(), accept.finish().unwrap())
}

pub(crate) fn shake(dial: &mut Handshake, accept: &mut Handshake) -> Result<(), WireError> {
    loop {
        let mut moved = false;
        while let Some(bytes) = dial.poll_transmit() {
            accept.handle_bytes(&bytes)?;
            moved = true;
        }
        while let Some(bytes) = accept.poll_transmit() {
            dial.handle_bytes(&bytes)?;
            moved = true;
        }
        if !moved {
            return Ok(());
        }
    }
}

/// One end with what its owner saw.
pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) got: Vec<Vec<u8>>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) restarts: Vec<Vec<Vec<u8>>>,
    pub(crate) connected: usize,
}

impl End {
    pub(crate) fn new(peer: u8, incarnation: [u8; 16]) -> Self {
        let session = Session::new(identity(peer).peer_id(), Incarnation(incarnation));
        Self { session, got: vec![], receipts: vec![], restarts: vec![], connected: 0 }
    }

    pub(crate) fn attach(&mut self, connection: Connection) -> Result<(), WireError> {
        let mut events = Vec::new();
        let done = self.session.attach(connection, NOW, &mut events);
        self.take(events);
        done
    }

    pub(crate) fn handle(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let mut events = Vec::new();
        let done = self.session.handle_bytes(bytes, NOW, &mut events);
        self.take(events);
        done
    }

    pub(crate) fn acknowledge_all(&mut self) {
        if let Some(receipt) = self.receipts.last() {
            self.session.acknowledge(*receipt);
        }
    }

    /// Everything there is to send now.
    pub(crate) fn drain(&mut self) -> Vec<Vec<u8>> {
        core::iter::from_fn(|| self.session.poll_transmit()).collect()
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Connected => self.connected += 1,
                Event::PeerRestarted { undelivered } => self.restarts.push(undelivered),
                Event::Message { receipt, payload } => {
                    self.receipts.push(receipt);
                    self.got.push(payload);
                }
            }
        }
    }
}

/// Alice (1) dials Bob (2).
pub(crate) struct Pair {
    pub(crate) alice: End,
    pub(crate) bob: End,
    pub(crate) dice: Dice,
}

impl Pair {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let alice = End::new(2, dice.bytes());
        let bob = End::new(1, dice.bytes());
        Self { alice, bob, dice }
    }

    pub(crate) fn connect(&mut self) -> &mut Self {
        let (dialed, accepted) = connect(1, 2, &mut self.dice);
        self.alice.attach(dialed).unwrap();
        self.bob.attach(accepted).unwrap();
        self
    }

    /// Passes everything both ways, acknowledging all, until nothing moves.
    pub(crate) fn settle(&mut self) -> &mut Self {
        loop {
            let (from_alice, from_bob) = (self.alice.drain(), self.bob.drain());
            if from_alice.is_empty() && from_bob.is_empty() {
                return self;
            }
            from_alice.iter().for_each(|bytes| self.bob.handle(bytes).unwrap());
            from_bob.iter().for_each(|bytes| self.alice.handle(bytes).unwrap());
            self.alice.acknowledge_all();
            self.bob.acknowledge_all();
        }
    }
}

pub(crate) fn id(n: u8) -> PeerId {
    identity(n).peer_id()
}
