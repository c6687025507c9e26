//! go-perun's client in a process: `interop/go-perun/party`.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::party::{Ask, Event, Here, PATIENCE, Party, Ticket, View};
use crate::trouble::{Result, Trouble};

/// How long nothing may be heard while something is awaited: a little longer than that may take.
const SILENCE_MAX: Duration = Duration::from_secs(PATIENCE + 15);
/// Most bytes of one line.
const LINE_MAX: u64 = 1 << 20;
/// Most lines that wait to be read, and most that are read while one is awaited.
const LINES_MAX: usize = 10_000;

/// Builds the program and says where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../go-perun");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-perun-party");
    let mut go = Command::new("go");
    let build = go.args(["build", "-o"]).arg(&program).arg("./party").current_dir(folder);
    let status = build.status().map_err(|error| format!("Go cannot be started: {error}"))?;
    if status.success() { Ok(program) } else { Err("go-perun's party does not build".into()) }
}

/// The process, and what was heard of it.
pub(crate) struct Process {
    who: String,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    last_id: u64,
    answers: BTreeMap<u64, Line>,
    events: VecDeque<Event>,
}

#[derive(Serialize)]
struct Request<'a, T> {
    id: u64,
    seconds: u64,
    #[serde(flatten)]
    ask: &'a T,
}

#[derive(Deserialize)]
struct Line {
    id: Option<u64>,
    ok: Option<Value>,
    error: Option<Wrong>,
    #[serde(flatten)]
    event: Event,
}

#[derive(Deserialize)]
struct Wrong {
    kind: String,
    text: String,
}

impl Process {
    /// Starts one; what it says beside its lines goes to this file.
    pub(crate) fn start(program: &Path, who: &str, log: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log)?)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".into());
        };
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || read_lines(output, &sender));
        let (answers, events) = (BTreeMap::new(), VecDeque::new());
        Ok(Self { who: who.to_owned(), child, input, lines, last_id: 0, answers, events })
    }

    fn send(&mut self, what: &'static str, seconds: u64, ask: &impl Serialize) -> Result<Ticket> {
        self.last_id += 1;
        let id = self.last_id;
        let mut line = serde_json::to_vec(&Request { id, seconds, ask })?;
        line.push(b'\n');
        self.input.write_all(&line)?;
        self.input.flush()?;
        Ok(Ticket { id, what })
    }

    /// What came of a request.
    fn outcome(&mut self, ticket: &Ticket) -> Result<Value> {
        for _ in 0..LINES_MAX {
            if let Some(line) = self.answers.remove(&ticket.id) {
                return match line.error {
                    Some(Wrong { kind, text }) => {
                        let (who, what) = (self.who.clone(), ticket.what.to_owned());
                        Err(Trouble::Refused { who, what, kind, text })
                    }
                    None => Ok(line.ok.unwrap_or_default()),
                };
            }
            self.hear(ticket.what)?;
        }
        Err(format!("{} talks of everything but {}", self.who, ticket.what).into())
    }

    /// Asks for something that has no place in channels, and waits for it.
    pub(crate) fn call(&mut self, what: &'static str, with: &Value) -> Result<Value> {
        let ticket = self.send(what, PATIENCE, &json!({ "do": what, "with": with }))?;
        self.outcome(&ticket)
    }

    /// Takes one line.
    fn hear(&mut self, awaited: &str) -> Result<()> {
        let text = self
            .lines
            .recv_timeout(SILENCE_MAX)
            .map_err(|_| format!("{} is silent, or ended, while it should {awaited}", self.who))?;
        // One of go-perun's packages says something of its own when it is loaded.
        if !text.starts_with('{') {
            return Ok(());
        }
        let line: Line = serde_json::from_str(&text)?;
        match line.id {
            Some(id) => _ = self.answers.insert(id, line),
            None => self.events.push_back(line.event),
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes lines on until there are no more, or one is too long.
fn read_lines(output: ChildStdout, lines: &SyncSender<String>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = String::new();
        match output.by_ref().take(LINE_MAX).read_line(&mut line) {
            Ok(length) if length > 0 && line.ends_with('\n') => {}
            _ => return,
        }
        if lines.send(line).is_err() {
            return;
        }
    }
}

/// A process that has a client.
pub(crate) struct Theirs {
    process: Process,
    here: Here,
}

impl Theirs {
    /// Starts a client with these settings.
    pub(crate) fn start(mut process: Process, settings: &Value) -> Result<Self> {
        let here = serde_json::from_value(process.call("start", settings)?)?;
        Ok(Self { process, here })
    }
}

impl Party for Theirs {
    fn here(&self) -> &Here {
        &self.here
    }

    fn ask_within(&mut self, seconds: u64, ask: &Ask) -> Result<Ticket> {
        self.process.send(ask.what(), seconds, ask)
    }

    fn answer(&mut self, ticket: Ticket) -> Result<Vec<View>> {
        let value = self.process.outcome(&ticket)?;
        if value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(Vec::new());
        }
        let list = if value.is_array() { value } else { Value::Array(vec![value]) };
        Ok(serde_json::from_value(list)?)
    }

    fn wait(&mut self, what: &str, wanted: &dyn Fn(&Event) -> bool) -> Result<Event> {
        for _ in 0..LINES_MAX {
            let events = &mut self.process.events;
            if let Some(event) = events.iter().position(wanted).and_then(|at| events.remove(at)) {
                return Ok(event);
            }
            if let Some(Event { kind, text, .. }) = events.iter().find(|e| e.event == "problem") {
                return Err(format!("{} had a problem {kind}: {text}", self.process.who).into());
            }
            self.process.hear(what)?;
        }
        Err(format!("{} tells of everything but: {what}", self.process.who).into())
    }

    fn kill(&mut self) -> Result<()> {
        self.process.child.kill()?;
        self.process.child.wait()?;
        Ok(())
    }
}
