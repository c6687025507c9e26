//! Which crate may know which, and what it may take from outside.
//!
//! Read from the manifests, by a reader that knows only tables of dependencies. The invariant:
//! every crate of the workspace has a row in [`FLOORS`], so none can slip in beside the rules.
//! Dependencies of tests are free, except that each needs its reason too.

use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;
use crate::shell;

const REASONS: &str = "docs/dependencies.md";

/// What one crate may use.
struct Floor {
    name: &'static str,
    /// Crates of this workspace, or `None` for all.
    inside: Option<&'static [&'static str]>,
    /// How many crates from outside, or `None` for no limit.
    outside_max: Option<usize>,
}

const fn floor(
    name: &'static str,
    inside: &'static [&'static str],
    outside_max: Option<usize>,
) -> Floor {
    Floor { name, inside: Some(inside), outside_max }
}

const GROUND: &[&str] = &["perun-channel"];
const NETWORKS: &[&str] = &["perun-channel", "perun-places"];
const ROOMS: &[&str] = &[
    "perun-channel",
    "perun-protocol",
    "perun-wire",
    "perun-goperun",
    "perun-store",
    "perun-backend-ckb",
    "perun-backend-evm",
    "perun-apps",
    "perun-api",
];
/// The program links what its demo and its explanations show; with the first daemon it becomes a
/// door that knows `perun-api` only.
const PROGRAM: &[&str] = &[
    "perun-node",
    "perun-api",
    "perun-embedded-ckb",
    "perun-embedded-evm",
    "perun-backend-ckb",
    "perun-backend-evm",
    "perun-channel",
    "perun-protocol",
    "perun-store",
    "perun-wire",
];

/// Arrows point down; rooms of one floor do not know each other.
const FLOORS: &[Floor] = &[
    floor("perun-channel", &[], Some(4)),
    floor("perun-protocol", GROUND, Some(0)),
    floor("perun-wire", NETWORKS, None),
    floor("perun-goperun", NETWORKS, None),
    floor("perun-store", GROUND, None),
    floor("perun-backend-ckb", GROUND, None),
    floor("perun-backend-evm", GROUND, None),
    floor("perun-apps", GROUND, None),
    floor("perun-api", GROUND, None),
    floor("channel-type", &["perun-channel", "perun-apps"], None),
    floor("vault-lock", &["perun-channel", "perun-apps"], None),
    floor("simple-udt", &[], None),
    floor("perun-onchain-tests", &["perun-channel"], None),
    floor("perun-disputes", &["perun-channel", "perun-backend-evm", "perun-onchain-tests"], None),
    floor("perun-loopback", &[], Some(1)),
    floor("perun-places", &[], Some(0)),
    floor("perun-embedded-ckb", &["perun-backend-ckb", "perun-channel", "perun-loopback"], None),
    floor("perun-embedded-evm", &["perun-loopback"], None),
    floor("perun-node", ROOMS, None),
    floor("perun-cli", PROGRAM, None),
    Floor { name: "perun-sim", inside: None, outside_max: None },
    // Has tests only.
    floor("perun-interop", &[], None),
    floor("xtask", &[], None),
];

/// A manifest, as far as the rules need it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Manifest {
    name: String,
    /// What the crate is built with.
    built_with: BTreeSet<String>,
    /// What only its tests are built with.
    tested_with: BTreeSet<String>,
}

/// Checks all manifests below `root`.
pub(super) fn check(root: &Path, findings: &mut Vec<Finding>) -> Result<(), String> {
    let mut manifests = Vec::new();
    for path in shell::files_below(root)? {
        if path.ends_with("Cargo.toml") {
            let place = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let manifest = parse(&shell::read_text(&path)?);
            if !manifest.name.is_empty() {
                manifests.push((place, manifest));
            }
        }
    }
    let inside: BTreeSet<&str> = manifests.iter().map(|(_, m)| m.name.as_str()).collect();
    let reasons = shell::read_text(&root.join(REASONS))?;
    for (place, manifest) in &manifests {
        check_arrows(place, manifest, &inside, findings);
        check_reasons(place, manifest, &inside, &reasons, findings);
    }
    Ok(())
}

fn check_arrows(
    place: &str,
    manifest: &Manifest,
    workspace: &BTreeSet<&str>,
    findings: &mut Vec<Finding>,
) {
    let name = &manifest.name;
    let mut find = |rule, what| {
        findings.push(Finding { rule, place: place.to_owned(), line: 0, what });
    };
    let Some(floor) = FLOORS.iter().find(|floor| floor.name == name) else {
        find(
            "arrow",
            format!("{name} has no row in the table of floors (xtask/src/tidy/crates.rs)"),
        );
        return;
    };
    let (inside, outside): (Vec<&str>, Vec<&str>) =
        manifest.built_with.iter().map(String::as_str).partition(|used| workspace.contains(used));
    for used in inside {
        if floor.inside.is_some_and(|allowed| !allowed.contains(&used)) {
            find("arrow", format!("{name} must not depend on {used}"));
        }
    }
    if let Some(most) = floor.outside_max.filter(|most| outside.len() > *most) {
        let (count, names) = (outside.len(), outside.join(", "));
        find("outside", format!("{count} outside dependencies ({names}), the limit is {most}"));
    }
}

fn check_reasons(
    place: &str,
    manifest: &Manifest,
    workspace: &BTreeSet<&str>,
    reasons: &str,
    findings: &mut Vec<Finding>,
) {
    for used in manifest.built_with.union(&manifest.tested_with) {
        let row = format!("| `{used}` |");
        if !workspace.contains(used.as_str()) && !reasons.contains(&row) {
            let what = format!("{used} has no row in {REASONS} that says why we use it");
            findings.push(Finding { rule: "reason", place: place.to_owned(), line: 0, what });
        }
    }
}

fn parse(text: &str) -> Manifest {
    let mut manifest = Manifest::default();
    let mut table = String::new();
    // How many brackets a value of several lines has open.
    let mut open = 0_usize;
    for line in text.lines().map(without_comment) {
        let continues = open > 0;
        let header = line.strip_prefix('[').filter(|_| !continues);
        if let Some(name) = header {
            table = name.trim_end().trim_end_matches(']').to_owned();
            add_dependency_table(&mut manifest, &table);
            continue;
        }
        open = (open + line.matches(['[', '{']).count())
            .saturating_sub(line.matches([']', '}']).count());
        let Some((key, value)) = line.split_once('=').filter(|_| !continues) else { continue };
        let key = key.split('.').next().unwrap_or_default().trim().trim_matches('"');
        if table == "package" && key == "name" {
            manifest.name = value.trim().trim_matches('"').to_owned();
        } else if let Some(used) = dependencies(&mut manifest, &table) {
            // A renamed crate counts by its real name.
            let renamed =
                value.split_once("package = \"").and_then(|(_, name)| name.split_once('"'));
            used.insert(renamed.map_or(key, |(name, _)| name).to_owned());
        }
    }
    manifest
}

/// The dependencies that `table` lists, if it is such a table, for a target or for all.
fn dependencies<'a>(manifest: &'a mut Manifest, table: &str) -> Option<&'a mut BTreeSet<String>> {
    if table.starts_with("workspace") {
        return None;
    }
    match table.rsplit('.').next()? {
        "dependencies" | "build-dependencies" => Some(&mut manifest.built_with),
        "dev-dependencies" => Some(&mut manifest.tested_with),
        _ => None,
    }
}

/// `[dependencies.NAME]` is a dependency in its heading.
fn add_dependency_table(manifest: &mut Manifest, table: &str) {
    if let Some((parent, name)) = table.rsplit_once('.') {
        let name = name.trim_matches('"').to_owned();
        if let Some(used) = dependencies(manifest, parent) {
            used.insert(name);
        }
    }
}

fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(manifest: &str) -> Vec<String> {
        let workspace = BTreeSet::from(["perun-channel", "perun-wire", "perun-sim", "perun-node"]);
        let mut findings = Vec::new();
        check_arrows("Cargo.toml", &parse(manifest), &workspace, &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn every_way_of_writing_a_dependency_is_read() {
        let manifest = parse(
            "[package]\nname = \"a\"\n[dependencies]\nb = \"1\" # why\nc.workspace = true\n\
             d = { version = \"1\", features = [\n  \"e = f\",\n] }\ng = { package = \"h\" }\n\
             [dependencies.i]\nversion = \"1\"\n\
             [target.'cfg(target_arch = \"riscv64\")'.dependencies]\nj = \"1\"\n\
             [build-dependencies]\nk = \"1\"\n[dev-dependencies]\nl = \"1\"\n\
             [features]\nm = []\n[workspace.dependencies]\nn = \"1\"\n",
        );
        assert_eq!(manifest.name, "a");
        assert_eq!(Vec::from_iter(manifest.built_with), ["b", "c", "d", "h", "i", "j", "k"]);
        assert_eq!(Vec::from_iter(manifest.tested_with), ["l"]);
    }

    #[test]
    fn arrows_point_down() {
        let wire = "[package]\nname = \"perun-wire\"\n[dependencies]\n";
        assert!(findings(&format!("{wire}perun-channel.workspace = true")).is_empty());
        assert_eq!(findings(&format!("{wire}perun-node.workspace = true")).len(), 1);
        let channel = "[package]\nname = \"perun-channel\"\n[dependencies]\nperun-wire = \"1\"";
        assert_eq!(findings(channel).len(), 1);
    }

    #[test]
    fn the_simulator_may_know_everything_and_nobody_the_simulator() {
        let sim = "[package]\nname = \"perun-sim\"\n[dependencies]\nperun-node = \"1\"";
        assert!(findings(sim).is_empty());
        let node = "[package]\nname = \"perun-node\"\n[dependencies]\nperun-sim = \"1\"";
        assert_eq!(findings(node).len(), 1);
    }

    #[test]
    fn the_ground_takes_four_crates_from_outside_and_the_protocol_none() {
        let channel = "[package]\nname = \"perun-channel\"\n\
                       [dependencies]\na = \"1\"\nb = \"1\"\nc = \"1\"\nd = \"1\"\n";
        assert!(findings(channel).is_empty());
        assert_eq!(findings(&format!("{channel}e = \"1\"")).len(), 1);
        let protocol = "[package]\nname = \"perun-protocol\"\n[dependencies]\na = \"1\"";
        assert_eq!(findings(protocol).len(), 1);
        let tested = "[package]\nname = \"perun-protocol\"\n[dev-dependencies]\na = \"1\"";
        assert!(findings(tested).is_empty());
    }

    #[test]
    fn a_crate_without_a_row_is_a_finding() {
        assert_eq!(findings("[package]\nname = \"stranger\"").len(), 1);
    }

    #[test]
    fn a_dependency_without_a_reason_is_a_finding() {
        let manifest = parse("[package]\nname = \"a\"\n[dependencies]\nb = \"1\"\n");
        let (workspace, mut findings) = (BTreeSet::from(["a"]), Vec::new());
        check_reasons("Cargo.toml", &manifest, &workspace, "| `b` | why |", &mut findings);
        assert!(findings.is_empty());
        check_reasons("Cargo.toml", &manifest, &workspace, "b is good", &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
