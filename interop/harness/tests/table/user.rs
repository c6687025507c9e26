//! Who uses our node: remembers what it tells, and answers by a policy.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use perun_channel::State;
use perun_node::{Node, NodeEvent, UserEvent};
use perun_protocol::{Command, DeclineReason, Event as Told, OpeningId};

use crate::party::{Event, PATIENCE};
use crate::trouble::Result;

/// How long the user waits for news before it looks whether it is to go.
const MOMENT: Duration = Duration::from_millis(50);

/// What outlives the node: a user's notes.
#[derive(Default)]
pub(crate) struct Memory {
    channels: Mutex<BTreeMap<OpeningId, Note>>,
}

/// A channel's id, once there is one, and its newest state that the node has shown.
#[derive(Default)]
struct Note {
    id: Option<B256>,
    newest: Option<State>,
}

/// Nothing that panics holds these locks.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    pub(crate) fn opening(&self, channel: B256) -> Option<OpeningId> {
        let channels = locked(&self.channels);
        let found = channels.iter().find(|(_, note)| note.id == Some(channel));
        found.map(|(opening, _)| *opening)
    }

    fn channel(&self, opening: OpeningId) -> Option<B256> {
        locked(&self.channels).get(&opening).and_then(|note| note.id)
    }

    /// Those that came to be.
    pub(crate) fn openings(&self) -> Vec<OpeningId> {
        let channels = locked(&self.channels);
        channels.iter().filter(|(_, note)| note.id.is_some()).map(|(opening, _)| *opening).collect()
    }

    fn learn(&self, opening: OpeningId, channel: B256) {
        locked(&self.channels).entry(opening).or_default().id = Some(channel);
    }

    /// The newest state that the node has shown: it shows none when all is over.
    pub(crate) fn newest(&self, opening: OpeningId, shown: Option<State>) -> Option<State> {
        let mut channels = locked(&self.channels);
        let note = channels.entry(opening).or_default();
        if shown.is_some() {
            note.newest = shown;
        }
        note.newest.clone()
    }
}

#[derive(Default)]
struct News {
    told: Vec<(OpeningId, Told)>,
    events: VecDeque<Event>,
}

#[derive(Default)]
struct Desk {
    news: Mutex<News>,
    more: Condvar,
    declines: AtomicBool,
    goes: AtomicBool,
}

pub(crate) struct User {
    desk: Arc<Desk>,
    memory: Arc<Memory>,
    thread: Option<JoinHandle<()>>,
}

impl User {
    /// Uses this node until it is told to stop; what the node complains of goes to the log.
    pub(crate) fn start(node: Arc<Node>, memory: Arc<Memory>, log: &Path) -> Result<Self> {
        let mut log = File::options().create(true).append(true).open(log)?;
        let desk = Arc::<Desk>::default();
        let (of_thread, notes) = (desk.clone(), memory.clone());
        let thread = std::thread::spawn(move || {
            while !of_thread.goes.load(Ordering::SeqCst) {
                if let Some(event) = node.next_event(MOMENT) {
                    let _ = writeln!(log, "{event:?}");
                    hear(&node, &of_thread, &notes, event);
                }
            }
        });
        Ok(Self { desk, memory, thread: Some(thread) })
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn accepts(&self, proposals: bool) {
        self.desk.declines.store(!proposals, Ordering::SeqCst);
    }

    /// How much was told.
    pub(crate) fn length(&self) -> usize {
        locked(&self.desk.news).told.len()
    }

    pub(crate) fn since(&self, start: usize) -> Vec<(OpeningId, Told)> {
        locked(&self.desk.news).told.get(start..).unwrap_or_default().to_vec()
    }

    /// Waits until more than that was told, but not longer than this.
    pub(crate) fn wait_beyond(&self, length: usize, patience: Duration) {
        let news = locked(&self.desk.news);
        let is_old = |news: &mut News| news.told.len() <= length;
        drop(self.desk.more.wait_timeout_while(news, patience, is_old));
    }

    /// Waits for something to happen.
    pub(crate) fn event(&self, wanted: &dyn Fn(&Event) -> bool) -> Option<Event> {
        let until = Instant::now() + Duration::from_secs(PATIENCE);
        let mut news = locked(&self.desk.news);
        loop {
            if let Some(at) = news.events.iter().position(wanted) {
                return news.events.remove(at);
            }
            let left = until.checked_duration_since(Instant::now())?;
            let waited = self.desk.more.wait_timeout(news, left);
            news = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn stop(&mut self) {
        self.desk.goes.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.stop();
    }
}

fn hear(node: &Node, desk: &Desk, memory: &Memory, event: NodeEvent) {
    let opening = event.opening;
    let UserEvent::Channel(told) = event.event else { return };
    if let Told::Opened { id } = *told {
        memory.learn(opening, B256::from(*id.as_bytes()));
    }
    if let Told::ProposalReceived { .. } = *told {
        // What fails is told as an event of its own.
        let _ = match desk.declines.load(Ordering::SeqCst) {
            true => node.command(opening, Command::Decline { reason: DeclineReason::User {} }),
            false => node.accept(opening),
        };
    }
    if matches!(*told, Told::Updated { .. } | Told::Opened { .. })
        && let Ok(Some(status)) = node.status(opening)
    {
        memory.newest(opening, status.agreed.map(|agreed| agreed.state));
    }
    let channel = memory.channel(opening).unwrap_or_default();
    let (event, kind, version) = match &*told {
        Told::Opened { .. } => ("channel", "", 0),
        Told::ProposalReceived { .. } => ("proposal", "", 0),
        Told::Updated { version } => ("update", "", version.get()),
        Told::Registered { version, .. } => ("chain", "registered", version.get()),
        Told::Settled { outcomes, .. } => {
            let version = outcomes.first().map(|it| it.state.version().get());
            ("chain", "concluded", version.unwrap_or_default())
        }
        _ => ("", "", 0),
    };
    let mut news = locked(&desk.news);
    if !event.is_empty() {
        let (event, kind) = (event.to_owned(), kind.to_owned());
        news.events.push_back(Event { event, channel, kind, version, text: String::new() });
    }
    news.told.push((opening, *told));
    desk.more.notify_all();
}
