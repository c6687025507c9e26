//! The program as its users run it: what it prints, how it ends, and that the chain serves until
//! stopped.

use ckb_types::prelude::*;
use perun_backend_ckb::rpc::{HttpRpc, Rpc};
use perun_cli::programs::Programs;
use perun_embedded_ckb::testkit::{Key, Payment, plain};
use perun_loopback::{Failure, Server};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

fn perun(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perun"));
    command.args(arguments).env_remove("PERUN_SCRIPTS_DIR");
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = perun(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn help_names_the_commands_and_the_exit_codes() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for part in ["demo", "devnet", "inspect", "Exit codes:", "NO_COLOR", "PERUN_SCRIPTS_DIR"] {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
    for command in ["demo", "devnet", "inspect"] {
        assert_eq!(run(&[command, "--help"]).0, Some(0), "{command}");
    }
}

#[test]
fn what_is_not_a_command_ends_with_2() {
    for arguments in [&["settle"][..], &[], &["devnet", "--block-interval", "0"]] {
        let (code, out, err) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(out.is_empty() && !err.is_empty(), "{arguments:?}");
    }
    let contradiction = ["devnet", "--instant", "--block-interval", "2"];
    assert_eq!(run(&contradiction).0, Some(2));
}

#[test]
fn garbage_ends_with_3_and_says_what_was_tried() {
    let (code, out, err) = run(&["inspect", "0x00112233"]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    for part in ["these 4 bytes", "not a signed state", "not parameters", "not a transaction"] {
        assert!(err.contains(part), "{part} is not in:\n{err}");
    }
    let (code, out, _) = run(&["inspect", "--json", "neither-file-nor-hex"]);
    assert_eq!(code, Some(3));
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(line["exit_code"], 3);
}

#[test]
fn a_name_without_a_node_ends_with_3_and_asks_for_one() {
    let (code, _, err) = run(&["inspect", &format!("0x{}", "ab".repeat(32))]);
    assert_eq!(code, Some(3));
    assert!(err.contains("--ckb-rpc"), "{err}");
}

#[test]
fn a_node_that_is_not_there_ends_with_4() {
    // A port that was free a moment ago and that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let name = format!("0x{}", "ab".repeat(32));
    let (code, _, err) = run(&["inspect", &name, "--ckb-rpc", &format!("http://{free}")]);
    assert_eq!(code, Some(4), "{err}");
}

#[test]
fn a_port_that_is_taken_ends_with_5_and_a_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, err) = run(&["devnet", "--listen", &address]);
    assert_eq!(code, Some(5));
    assert!(err.contains(&address) && err.contains("--listen"), "{err}");
}

#[test]
fn programs_that_cannot_be_read_end_with_5() {
    let output = perun(&["devnet"]).env("PERUN_SCRIPTS_DIR", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nowhere/channel-type"));
}

#[test]
fn standard_input_is_read_and_pipes_get_plain_text() {
    let mut child = perun(&["inspect", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&cell_text()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.contains("disputed") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn output_that_cannot_be_written_ends_with_5_and_is_said() {
    let cell = String::from_utf8(cell_text()).unwrap();
    for arguments in [&["inspect", &cell][..], &["demo"], &["demo", "--json"], &["devnet"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = perun(arguments);
        if arguments == ["devnet"] {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let output = command.stdout(full).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(5), "{arguments:?}: {err}");
        assert!(err.contains("standard output could not be written"), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let cell = String::from_utf8(cell_text()).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = perun(&["inspect", &cell]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &[][..]));
}

fn cell_text() -> Vec<u8> {
    use perun_channel::adjudicator::{ChannelCell, Phase};
    let cell = ChannelCell {
        phase: Phase::Disputed,
        marks: 1,
        id: perun_channel::ChannelId::new([7; 32]),
        state_hash: [8; 32],
        version: perun_channel::Version::new(9),
        claimed: false,
    };
    perun_cli::text::hex::full(&cell.to_data()).into_bytes()
}

/// A program that is stopped when the test ends, however it ends.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    fn devnet(arguments: &[&str]) -> Self {
        let listen = ["devnet", "--listen", "127.0.0.1:0"];
        Self::start(&[&listen, arguments].concat())
    }

    fn start(arguments: &[&str]) -> Self {
        Self::of(&mut perun(arguments))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line_with(&mut self, part: &str) -> String {
        loop {
            let line = self.lines.next().expect("the program ended").unwrap();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// As Ctrl-C does.
    fn interrupt(&mut self) -> Option<i32> {
        let signal = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &signal]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_chain_serves_tells_of_blocks_with_transactions_and_stops_cleanly() {
    let mut devnet = Running::devnet(&["--instant"]);
    let line = devnet.line_with("RPC");
    let url = line.split_whitespace().last().unwrap().to_owned();
    let rpc = HttpRpc::new(&url).unwrap();
    let genesis = Programs::built_in().genesis().unwrap();
    assert_eq!(rpc.chain().unwrap().genesis.hash(), genesis.block().hash());
    // Its opening tells everything that a client needs.
    for part in ["genesis hash", "Program channel-type", "Program vault-lock", "private key"] {
        devnet.line_with(part);
    }
    let key = Key::dev(false);
    let payment = Payment::to(key.lock(&genesis), 100 * 100_000_000);
    let tx = payment.build(&rpc, &genesis, &key).unwrap();
    rpc.send_transaction(&tx).unwrap();
    let hash = perun_cli::text::hex::short(tx.hash().as_slice());
    assert!(devnet.line_with("block 2 ").contains(&hash));
    assert_eq!(devnet.interrupt(), Some(0));
    devnet.line_with("stopped at block 2");
}

#[test]
fn programs_read_the_chain_as_json_lines() {
    let mut devnet = Running::devnet(&["--json", "--block-interval", "1"]);
    let opening: serde_json::Value = serde_json::from_str(&devnet.line_with("rpc")).unwrap();
    let rpc = HttpRpc::new(opening["rpc"].as_str().unwrap()).unwrap();
    let genesis = Programs::built_in().genesis().unwrap();
    let key = Key::dev(true);
    let outputs = vec![(plain(key.lock(&genesis), 100 * 100_000_000), Default::default())];
    let tx = Payment::new(outputs).build(&rpc, &genesis, &key).unwrap();
    rpc.send_transaction(&tx).unwrap();
    // Blocks come by themselves: the transaction is in one of the next.
    let block: serde_json::Value = serde_json::from_str(&devnet.line_with("block")).unwrap();
    let hash = perun_cli::text::hex::full(tx.hash().as_slice());
    assert_eq!(block["transactions"][0]["hash"], hash);
    assert_eq!(devnet.interrupt(), Some(0));
    assert!(devnet.line_with("stopped").starts_with('{'));
}

fn lines_of(out: &str) -> Vec<serde_json::Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_demo_ends_with_a_summary_in_which_nobody_lost_anything() {
    let (code, out, err) = run(&["demo", "--json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines = lines_of(&out);
    let summary = lines.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["balances_ok"], true);
    let number = |name: &str| summary[name].as_u64().unwrap();
    assert!(number("swaps") >= 2 && number("disputes_won") >= 2, "{summary}");
    assert!(number("payments") >= 5_000, "{summary}");
    let cuts: Vec<_> = lines.iter().filter(|line| line["event"] == "cut_point").collect();
    let total = u64::try_from(cuts.len()).unwrap();
    assert_eq!(number("swap_cut_points"), total);
    assert_eq!(number("swap_cut_points_survived"), total);
    // Each message of each course of a swap is the last one once, and of neither side's only.
    for cut in &cuts {
        assert_eq!(cut["whole"], true, "{cut}");
        let same = cuts.iter().filter(|other| other["plot"] == cut["plot"]);
        assert_eq!(cut["of"].as_u64().unwrap(), u64::try_from(same.count()).unwrap());
    }
    for who in ["Alice", "Bob"] {
        assert!(cuts.iter().any(|cut| cut["from"] == who), "{who}");
    }
    for message in ["offer", "acceptance", "secret", "last signature", "taking back"] {
        assert!(cuts.iter().any(|cut| cut["what"] == message), "{message}");
    }
    balances_add_up(&lines);
    let told = registrations(&lines);
    let alone = ["transaction Bob 1", "transaction Alice 2", "transaction Alice 1"];
    assert_eq!(told[..3], alone);
    for line in ["ethereum_transaction Bob 1", "ethereum_transaction Alice 3", "transaction Bob 3"]
    {
        assert!(told[3..].iter().any(|told| told == line), "{line} is not in {told:?}");
    }
}

/// A reader can add it up: what both had is what both have now and what went to fees, in every
/// scene and for every kind of money.
fn balances_add_up(lines: &[serde_json::Value]) {
    let tables = lines.iter().filter(|line| line["event"] == "balances");
    // The hub's scene shows one user of many.
    let tables: Vec<_> = tables.filter(|it| !it.to_string().contains("hub")).collect();
    assert_eq!(tables.len(), 8);
    for table in tables {
        let mut left = std::collections::BTreeMap::new();
        for row in table["rows"].as_array().unwrap() {
            let units = |name: &str| row[name].as_str().unwrap().parse::<i128>().unwrap();
            let difference = units("before") - units("units") - units("fees");
            *left.entry(row["asset"].as_str().unwrap()).or_insert(0) += difference;
        }
        assert!(!left.is_empty() && left.values().all(|sum| *sum == 0), "{table}");
    }
}

/// Who registered which versions, and on which chain, in the order of the story.
fn registrations(lines: &[serde_json::Value]) -> Vec<String> {
    let told = lines.iter().filter(|line| line["does"][0]["action"] == "register");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let told = told.map(|line| {
        assert!(text(&line["fee"]).parse::<u128>().unwrap() > 0);
        let (event, by) = (text(&line["event"]), text(&line["by"]));
        format!("{event} {by} {}", text(&line["does"][0]["version"]))
    });
    told.collect()
}

#[test]
fn a_real_node_of_its_own_and_a_named_one_contradict_each_other() {
    for named in ["--evm-rpc", "--ckb-rpc"] {
        let (code, _, err) = run(&["demo", "--real-node", named, "http://127.0.0.1:1"]);
        assert_eq!(code, Some(2), "{err}");
    }
}

/// What a demo on this Ethereum node fails with.
fn refusal(url: &str) -> String {
    let (code, out, _) = run(&["demo", "--json", "--evm-rpc", url]);
    assert_eq!(code, Some(1), "{out}");
    let failed = lines_of(&out).pop().unwrap();
    assert_eq!(failed["event"], "failed");
    failed["reason"].as_str().unwrap().to_owned()
}

#[test]
fn an_ethereum_node_that_is_not_there_is_said_to_be_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reason = refusal(&format!("http://{free}"));
    assert!(reason.contains("cannot be reached") && reason.contains("--evm-rpc"), "{reason}");
    assert!(!reason.contains("may have arrived"), "nothing was sent: {reason}");
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_told() {
    for (flag, address) in [("--evm-rpc", ""), ("--evm-rpc", "garbage"), ("--ckb-rpc", "ftp://x")] {
        let (code, out, err) = run(&["demo", flag, address]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{address}");
        assert!(err.contains("not an address that starts with http://"), "{err}");
    }
}

#[test]
fn a_ckb_chain_that_is_not_there_is_said_to_be_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, out, _) = run(&["demo", "--ckb-rpc", &format!("http://{free}")]);
    assert_eq!(code, Some(1));
    assert!(out.contains("cannot be reached") && out.contains("`perun devnet`"), "{out}");
}

#[test]
fn an_ethereum_node_is_no_ckb_node() {
    let chain = perun_embedded_evm::Chain::new(perun_embedded_evm::Options::dev());
    let ethereum = perun_embedded_evm::serve(chain, "127.0.0.1:0").unwrap();
    let (code, out, err) = run(&["demo", "--ckb-rpc", ethereum.url()]);
    assert_eq!(code, Some(1));
    let what = "does not speak as a CKB node does";
    assert!(out.contains(what) && out.contains("`perun devnet`"), "{out}");
    assert!(!err.contains(what), "said twice: {err}");
    let name = format!("0x{}", "ab".repeat(32));
    let (code, _, err) = run(&["inspect", &name, "--ckb-rpc", ethereum.url()]);
    assert_eq!(code, Some(4));
    assert!(err.contains(what), "{err}");
}

#[test]
fn the_node_is_looked_for_where_the_script_keeps_it() {
    let mut command = perun(&["demo", "--real-node"]);
    command.env_remove("PERUN_CKB_BIN").env("PERUN_DEVNET_HOME", "/nowhere");
    let out = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(out.contains("no CKB node at /nowhere/bin/ckb"), "{out}");
}

#[test]
fn a_program_that_is_no_node_is_named() {
    let output = perun(&["demo", "--real-node"]).env("PERUN_CKB_BIN", "/bin/true").output();
    let out = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(out.contains("/bin/true is no CKB node"), "{out}");
}

#[test]
fn a_ckb_node_is_no_ethereum_node() {
    let mut devnet = Running::devnet(&["--json"]);
    let opening: serde_json::Value = serde_json::from_str(&devnet.line_with("rpc")).unwrap();
    let reason = refusal(opening["rpc"].as_str().unwrap());
    assert!(reason.contains("does not speak as an Ethereum node does"), "{reason}");
}

/// An Ethereum node that gives this answer to one method.
fn with_answer(
    method: &'static str,
    answer: impl Fn() -> Result<serde_json::Value, Failure> + Send + Sync + 'static,
) -> Server {
    let chain = perun_embedded_evm::Chain::new(perun_embedded_evm::Options::dev());
    let server = perun_loopback::serve("127.0.0.1:0", move |body| {
        perun_loopback::respond(body, |asked, params| match asked == method {
            true => answer(),
            false => chain
                .request(asked, params)
                .map_err(|refusal| Failure::new(refusal.code, refusal.message)),
        })
    });
    server.unwrap()
}

#[test]
fn an_ethereum_chain_with_money_or_time_of_its_own_is_left_alone() {
    let unknown = || Err(Failure::new(-32601, "no such method"));
    let rich = with_answer("anvil_setBalance", unknown);
    let reason = refusal(rich.url());
    assert!(reason.contains("chain 31337 is not a dev chain"), "{reason}");
    assert!(reason.contains("does not give money away"), "{reason}");
    let strict = with_answer("evm_increaseTime", unknown);
    let reason = refusal(strict.url());
    assert!(reason.contains("does not let its time be moved"), "{reason}");
    let deaf = with_answer("evm_increaseTime", || Ok(serde_json::json!(0)));
    let reason = refusal(deaf.url());
    assert!(reason.contains("asked to go on from"), "{reason}");
}

/// The programs at `--ckb-rpc` and `--evm-rpc` are used, and the same comes out.
#[test]
fn the_demo_runs_on_two_chains_behind_rpc() {
    let mut devnet = Running::devnet(&["--json", "--block-interval", "3600"]);
    let opening: serde_json::Value = serde_json::from_str(&devnet.line_with("rpc")).unwrap();
    let chain = perun_embedded_evm::Chain::new(perun_embedded_evm::Options::dev());
    let ethereum = perun_embedded_evm::serve(chain.clone(), "127.0.0.1:0").unwrap();
    let ckb = opening["rpc"].as_str().unwrap();
    let Running { child, lines } = &mut devnet;
    let (ended, told) = std::thread::scope(|scope| {
        // Read while it runs: a full pipe would stop the chain.
        let told = scope.spawn(|| lines.map_while(Result::ok).collect::<Vec<_>>());
        let ended = run(&["demo", "--json", "--ckb-rpc", ckb, "--evm-rpc", ethereum.url()]);
        child.kill().unwrap();
        (ended, told.join().unwrap())
    });
    let (code, out, err) = ended;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(lines_of(&out).last().unwrap()["balances_ok"], true);
    assert!(chain.head().number > 20, "nothing happened there");
    // What is done to a channel is told with its whole name.
    let told: Vec<_> = told.iter().filter(|line| line.contains("\"register\"")).collect();
    let block: serde_json::Value = serde_json::from_str(told[0]).unwrap();
    let deed = &block["transactions"][0]["actions"][0];
    assert_eq!(deed["action"], "register");
    assert_eq!(deed["channel"].as_str().unwrap().len(), 66, "{deed}");
    assert!(deed["version"].as_str().unwrap().parse::<u64>().is_ok(), "{deed}");
}

/// A folder for one test's temporary files, gone with it.
struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("perun-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A program that does what the demo asks of `ckb`, but runs this instead of a node. The port
    /// that was asked for is in `$port`.
    fn ckb(&self, run: &str) -> std::path::PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let init = "[ $1 = init ] && { echo ${12} > $3/ckb.toml; exit; }; port=$(cat $3/ckb.toml)";
        let path = self.0.join("ckb");
        std::fs::write(&path, format!("#!/bin/sh\n{init}\n{run}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A demo on such a node, whose temporary files are here.
    fn demo(&self, run: &str) -> Running {
        let ckb = self.ckb(run);
        let mut command = perun(&["demo", "--real-node"]);
        command.env("PERUN_CKB_BIN", ckb).env("TMPDIR", &self.0).env_remove("PERUN_ANVIL_BIN");
        Running::of(command.stderr(Stdio::piped()))
    }

    fn count(&self, mark: &str) -> usize {
        let names = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(mark)).count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Interrupted, it says one line, and nothing of a failure; its node and its folders are gone.
fn interrupted_in_peace(mut demo: Running, place: &Place) {
    assert_eq!(demo.interrupt(), Some(5));
    let mut err = String::new();
    std::io::Read::read_to_string(&mut demo.child.stderr.take().unwrap(), &mut err).unwrap();
    assert_eq!(err, "perun: the demo was interrupted; its chains and its people are gone\n");
    let rest = demo.lines.by_ref().map_while(Result::ok).find(|line| line.contains("FAILED"));
    assert_eq!(rest, None);
    assert_eq!(place.count("perun-"), 0, "folders are left");
}

#[test]
fn a_demo_that_is_interrupted_on_its_own_node_does_not_blame_the_node() {
    let place = Place::new("stops");
    // The chain of `perun devnet` has the first block that the demo wants.
    let devnet = env!("CARGO_BIN_EXE_perun");
    let run = format!("exec {devnet} devnet --listen 127.0.0.1:$port --block-interval 3600");
    // A folder that takes a while to remove: time enough to notice that the node is gone.
    let run = format!("mkdir $3/full && (cd $3/full && seq 30000 | xargs touch)\n{run}");
    let mut demo = place.demo(&run);
    demo.line_with("of 2000");
    assert_eq!(place.count("perun-ckb-node-"), 1);
    interrupted_in_peace(demo, &place);
}

#[test]
fn a_demo_that_is_interrupted_while_its_node_starts_leaves_no_folder() {
    let place = Place::new("starts");
    let demo = place.demo("echo > $3/runs; exec sleep 600");
    let runs = |path: std::fs::DirEntry| path.path().join("runs").exists();
    let started = || std::fs::read_dir(&place.0).unwrap().any(|entry| entry.is_ok_and(runs));
    while !started() {
        std::thread::yield_now();
    }
    // The node would be waited for twice as long.
    let interrupted = std::time::Instant::now();
    interrupted_in_peace(demo, &place);
    assert!(interrupted.elapsed().as_secs() < 30);
}

#[test]
fn an_interrupted_demo_on_a_chain_of_others_does_not_say_that_the_chain_is_gone() {
    let mut devnet = Running::devnet(&["--json", "--block-interval", "3600"]);
    let opening: serde_json::Value = serde_json::from_str(&devnet.line_with("rpc")).unwrap();
    let url = opening["rpc"].as_str().unwrap();
    let mut command = perun(&["demo", "--ckb-rpc", url]);
    let mut demo = Running::of(command.stderr(Stdio::piped()));
    demo.line_with("1. ");
    assert_eq!(demo.interrupt(), Some(5));
    let mut err = String::new();
    std::io::Read::read_to_string(&mut demo.child.stderr.take().unwrap(), &mut err).unwrap();
    assert!(err.contains(&format!("stays on the chain at {url}")), "{err}");
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let mut demo = Running::start(&["demo"]);
    // Two people with folders of their own are there by now.
    demo.line_with("open");
    demo.line_with("of 2000");
    let id = demo.child.id();
    let folders = || {
        let mark = format!("perun-demo-{id}-");
        let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with(&mark)).count()
    };
    // Between two scenes there are none for a moment.
    assert!((0..100_000).any(|_| folders() == 2));
    assert_eq!(demo.interrupt(), Some(5));
    assert_eq!(folders(), 0);
}
