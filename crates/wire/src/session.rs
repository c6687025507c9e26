//! A session with one peer: it outlives connections and delivers every message once, in order.
//!
//! The driver attaches a connection, feeds bytes and time, and sends what
//! [`Session::poll_transmit`] gives until it gives nothing. After an error it drops the stream; the
//! session has dropped the connection already and waits for the next. Nothing is queued towards the
//! wire: frames are made when they are polled, so a peer that does not read makes us keep nothing
//! but the window.
//!
//! The invariant: per pair of incarnations, the numbers of delivered messages rise by one; and a
//! message leaves the window only when the peer acknowledged it or was replaced by a new life of
//! itself, in which case the caller gets it back.

use crate::Time;
use crate::connection::Connection;
use crate::error::{SendRefusal, WireError};
use crate::frame::{Frame, Goodbye, Incarnation, Resume};
use crate::identity::PeerId;
use crate::inbound::{Inbound, Receipt};
use crate::outbound::Outbound;

/// The longest message. Protocol messages are kilobytes; the bound is Perun's usual frame limit.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// How many messages may be unacknowledged in one direction. Enough to keep a fast line busy.
pub const WINDOW_MESSAGES: usize = 256;

/// How many bytes may be unacknowledged in one direction: four of the longest messages.
pub const WINDOW_BYTES: usize = 4 << 20;

/// After so much silence a ping is sent.
pub const PING_AFTER_MS: u64 = 15_000;

/// After so much silence the connection is given up: two pings may be lost.
pub const SILENT_MS_MAX: u64 = 45_000;

/// What a session tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection is in use, and both ends know where they stopped.
    Connected,
    /// The peer has a new memory. Messages it acknowledged may be lost with the old one; those it
    /// had not acknowledged come back here and are not sent by themselves.
    PeerRestarted {
        /// What was never acknowledged, oldest first.
        undelivered: Vec<Vec<u8>>,
    },
    /// A message. Acknowledge it when it is safe, or the window fills up.
    Message {
        /// Names it for [`Session::acknowledge`].
        receipt: Receipt,
        /// What the peer's owner sent.
        payload: Vec<u8>,
    },
}

/// The lasting half of a conversation with one peer.
#[derive(Debug)]
pub struct Session {
    peer: PeerId,
    ours: Incarnation,
    theirs: Option<Incarnation>,
    outbound: Outbound,
    inbound: Inbound,
    link: Option<Link>,
}

/// What belongs to one connection only.
#[derive(Debug)]
struct Link {
    connection: Connection,
    heard: Time,
    said_resume: bool,
    resumed: bool,
    ack_due: bool,
    pong_due: Option<u64>,
    ping_due: bool,
    pinged: Option<Time>,
    goodbye: Option<Goodbye>,
    said_goodbye: bool,
}

impl Session {
    /// A session without a connection. The incarnation must be random and used for this value only.
    #[must_use]
    pub fn new(peer: PeerId, ours: Incarnation) -> Self {
        let (outbound, inbound) = (Outbound::default(), Inbound::default());
        Self { peer, ours, theirs: None, outbound, inbound, link: None }
    }

    /// Whom this session talks to.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Whether a connection is attached.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.link.is_some()
    }

    /// How many of our messages the peer has not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.outbound.len()
    }

    /// Uses this connection from now on, in place of an older one.
    ///
    /// When both ends dialled at once, both keep the connection that the smaller peer id dialled;
    /// the other is refused with [`WireError::Duplicate`]. A redial by the same end replaces.
    pub fn attach(
        &mut self,
        connection: Connection,
        now: Time,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        if connection.peer != self.peer {
            return Err(WireError::Misuse);
        }
        if let Some(link) = &self.link {
            let (current, new) = (link.connection.dialer(), connection.dialer());
            if current != new && new > current {
                return Err(WireError::Duplicate);
            }
        }
        self.inbound.reconnect();
        self.link = Some(Link {
            connection,
            heard: now,
            said_resume: false,
            resumed: false,
            ack_due: false,
            pong_due: None,
            ping_due: false,
            pinged: None,
            goodbye: None,
            said_goodbye: false,
        });
        self.handle_bytes(&[], now, events)
    }

    /// Forgets the connection, not the messages.
    pub fn detach(&mut self) {
        self.link = None;
        self.inbound.reconnect();
    }

    /// Takes a payload for sending, now or on a later connection.
    pub fn send(&mut self, payload: Vec<u8>) -> Result<(), SendRefusal> {
        self.outbound.push(payload)
    }

    /// Tells the peer that everything up to this message is safe with us. Receipts from an earlier
    /// life of the peer are ignored.
    pub fn acknowledge(&mut self, receipt: Receipt) {
        if self.inbound.acknowledge(receipt)
            && let Some(link) = &mut self.link
        {
            link.ack_due = true;
        }
    }

    /// Says goodbye with the next transmission; detach afterwards.
    pub fn say_goodbye(&mut self, reason: Goodbye) {
        if let Some(link) = &mut self.link {
            link.goodbye = Some(reason);
        }
    }

    /// Whether the goodbye was transmitted: nothing follows it, so the stream can be closed.
    #[must_use]
    pub fn said_goodbye(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.said_goodbye)
    }

    /// Takes bytes from the stream and adds what they mean to `events`. After an error the
    /// connection is gone: close the stream. What was added before the error counts.
    pub fn handle_bytes(
        &mut self,
        bytes: &[u8],
        now: Time,
        events: &mut Vec<Event>,
    ) -> Result<(), WireError> {
        self.link.as_mut().ok_or(WireError::NotConnected)?.connection.push(bytes);
        let done = self.handle_frames(now, events);
        if done.is_err() {
            self.detach();
        }
        done
    }

    /// The next bytes for the stream, if any.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let frame = self.next_frame()?;
        let sealed = self.link.as_mut()?.connection.seal(&frame);
        if sealed.is_err() {
            self.detach();
        }
        sealed.ok()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let link = self.link.as_ref()?;
        let silent = link.heard.after(SILENT_MS_MAX);
        let ping = link.pinged.unwrap_or(link.heard).after(PING_AFTER_MS);
        Some(if link.ping_due { silent } else { silent.min(ping) })
    }

    /// Lets time pass: pings a quiet peer, gives up a silent one.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), WireError> {
        let Some(link) = &mut self.link else { return Ok(()) };
        if now >= link.heard.after(SILENT_MS_MAX) {
            self.detach();
            return Err(WireError::PeerSilent);
        }
        if now >= link.pinged.unwrap_or(link.heard).after(PING_AFTER_MS) {
            link.ping_due = true;
            link.pinged = Some(now);
        }
        Ok(())
    }
}

impl Session {
    fn handle_frames(&mut self, now: Time, events: &mut Vec<Event>) -> Result<(), WireError> {
        loop {
            let link = self.link.as_mut().ok_or(WireError::NotConnected)?;
            let Some(frame) = link.connection.next_frame()? else { return Ok(()) };
            link.heard = now;
            link.pinged = None;
            self.handle_frame(frame, events)?;
        }
    }

    fn handle_frame(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), WireError> {
        let link = self.link.as_mut().ok_or(WireError::NotConnected)?;
        match frame {
            Frame::Goodbye(reason) => Err(WireError::Goodbye(reason)),
            Frame::Resume(resume) if !link.resumed => {
                link.resumed = true;
                self.resume(resume, events)
            }
            // Before the other end has said where it stopped, its numbers mean nothing.
            Frame::Resume(_) => Err(WireError::UnexpectedFrame),
            _ if !link.resumed => Err(WireError::UnexpectedFrame),
            Frame::Chunk { number, last, bytes } => {
                if number <= self.inbound.delivered() {
                    link.ack_due = true;
                }
                if let Some((receipt, payload)) = self.inbound.chunk(number, last, &bytes)? {
                    events.push(Event::Message { receipt, payload });
                }
                Ok(())
            }
            Frame::Ack { number } => self.outbound.acknowledged(number),
            Frame::Ping { token } => {
                link.pong_due = Some(token);
                Ok(())
            }
            Frame::Pong { .. } => Ok(()),
        }
    }

    /// Compares memories. The numbers of either direction belong to one pair of incarnations, so
    /// what the peer counted for another pair counts as nothing.
    fn resume(&mut self, resume: Resume, events: &mut Vec<Event>) -> Result<(), WireError> {
        let known = self.theirs == Some(resume.ours);
        if !known {
            let first_contact = self.theirs.is_none();
            self.theirs = Some(resume.ours);
            if !first_contact {
                self.inbound.restart();
                let undelivered = self.outbound.restart();
                events.push(Event::PeerRestarted { undelivered });
            }
        }
        let counts = resume.theirs == Some(self.ours);
        if !counts && known && self.inbound.delivered() > 0 {
            // A peer that sent us messages under this name knew us then.
            return Err(WireError::ImpossibleResume);
        }
        self.outbound.resume_after(if counts { resume.received } else { 0 })?;
        if let Some(link) = &mut self.link {
            link.ack_due = self.inbound.acked() > 0;
        }
        events.push(Event::Connected);
        Ok(())
    }

    /// The most urgent frame there is to send.
    fn next_frame(&mut self) -> Option<Frame> {
        let link = self.link.as_mut()?;
        if link.said_goodbye {
            return None;
        }
        if let Some(reason) = link.goodbye.take() {
            link.said_goodbye = true;
            return Some(Frame::Goodbye(reason));
        }
        if !link.said_resume {
            link.said_resume = true;
            let received = self.inbound.delivered();
            let (ours, theirs) = (self.ours, self.theirs);
            return Some(Frame::Resume(Resume { ours, theirs, received }));
        }
        if let Some(token) = link.pong_due.take() {
            return Some(Frame::Pong { token });
        }
        if link.ping_due {
            link.ping_due = false;
            return Some(Frame::Ping { token: link.heard.0 });
        }
        if !link.resumed {
            return None;
        }
        if link.ack_due {
            link.ack_due = false;
            return Some(Frame::Ack { number: self.inbound.acked() });
        }
        self.outbound.next_chunk()
    }
}
