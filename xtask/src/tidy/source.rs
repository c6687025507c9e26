//! A Rust file as the rules see it: code, comments and literals apart, tests and functions found.
//!
//! This is a scanner and not a parser: it knows where comments and literals end and which braces
//! belong together, and nothing of grammar. The invariant: the masks have the lines and columns
//! of the file, so that a place in a mask is a place in the file.

use std::ops::RangeInclusive;

/// One file.
pub(super) struct Source {
    /// Its path from the checkout's root, with slashes.
    pub(super) path: String,
    /// Its lines as they stand.
    pub(super) lines: Vec<String>,
    /// Its lines with blanks for comments and for the insides of literals.
    pub(super) code: Vec<String>,
    /// Its lines with blanks for everything but comments.
    pub(super) comments: Vec<String>,
    /// Whether the whole file is test code.
    pub(super) is_test: bool,
    tests: Vec<RangeInclusive<usize>>,
    test_modules: Vec<String>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Counted from one, like editors do.
    pub(super) line: usize,
    pub(super) length: usize,
}

impl Source {
    pub(super) fn new(path: String, text: &str) -> Self {
        let (code, comments) = masks(text);
        let split = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let in_test_folder = path.split('/').any(|part| matches!(part, "tests" | "benches"));
        let mut source = Self {
            lines: split(text),
            code: split(&code),
            comments: split(&comments),
            is_test: in_test_folder,
            tests: Vec::new(),
            test_modules: Vec::new(),
            path,
        };
        source.find_tests(&code);
        source
    }

    /// Whether a line, counted from one, is test code.
    pub(super) fn is_test_line(&self, line: usize) -> bool {
        self.is_test || self.tests.iter().any(|range| range.contains(&line))
    }

    /// Lines that are not test code.
    pub(super) fn length(&self) -> usize {
        (1..=self.lines.len()).filter(|line| !self.is_test_line(*line)).count()
    }

    pub(super) fn functions(&self) -> Vec<Function> {
        let code = self.code.join("\n");
        let mut found = Vec::new();
        for (at, _) in code.match_indices("fn ") {
            let name: String =
                code[at + 3..].trim_start().chars().take_while(|c| is_name(*c)).collect();
            if name.is_empty() || code[..at].ends_with(is_name) {
                continue;
            }
            if let Some(end) = item_end(&code, at).filter(|end| code[*end..].starts_with('}')) {
                let line = line_of(&code, at);
                found.push(Function { name, line, length: line_of(&code, end) + 1 - line });
            }
        }
        found
    }

    fn find_tests(&mut self, code: &str) {
        for (at, _) in code.match_indices("#[cfg(") {
            let condition = code[at + 6..].split(']').next().unwrap_or_default();
            if !names_test(condition) {
                continue;
            }
            let after = at + 6 + condition.len() + 1;
            let Some(end) = item_end(code, after) else { continue };
            self.tests.push(line_of(code, at)..=line_of(code, end));
            let item = code[after..end].trim();
            if let Some((_, name)) = item.rsplit_once("mod ").filter(|_| !item.contains('{')) {
                self.test_modules.push(self.folder_of_modules() + name.trim());
            }
        }
    }

    /// Where the files of modules declared here lie.
    fn folder_of_modules(&self) -> String {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        match file {
            "lib.rs" | "main.rs" | "mod.rs" => format!("{folder}/"),
            _ => format!("{folder}/{}/", file.trim_end_matches(".rs")),
        }
    }
}

/// Marks the files of modules that another file declares under `#[cfg(test)]`.
pub(super) fn mark_test_files(sources: &mut [Source]) {
    let modules: Vec<String> =
        sources.iter().flat_map(|source| source.test_modules.iter().cloned()).collect();
    for source in sources {
        source.is_test |= modules.iter().any(|module| {
            let rest = source.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
    }
}

/// `test`, `all(test, …)` and `any(test, …)` are conditions for tests; `not(test)` is not one.
fn names_test(condition: &str) -> bool {
    let inner = condition.trim_start_matches("all(").trim_start_matches("any(");
    inner.strip_prefix("test").is_some_and(|rest| !rest.starts_with(is_name))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The place of the semicolon or of the closing brace that ends the item starting at `from`.
fn item_end(code: &str, from: usize) -> Option<usize> {
    let (mut round, mut braces) = (0_usize, 0_usize);
    for (at, c) in code.bytes().enumerate().skip(from) {
        match c {
            b'(' | b'[' => round += 1,
            b')' | b']' => round = round.saturating_sub(1),
            b'{' => braces += 1,
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 && round == 0 {
                    return Some(at);
                }
            }
            b';' if braces == 0 && round == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// The text twice: without comments and insides of literals, and with comments alone. What is left
/// out becomes blanks of the same width.
fn masks(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = next_piece(rest, first);
        let (piece, after) = rest.split_at(length);
        code.push_str(&if kind == Piece::Code { piece.to_owned() } else { blank(piece) });
        comments.push_str(&if kind == Piece::Comment { piece.to_owned() } else { blank(piece) });
        rest = after;
    }
    (code, comments)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Code,
    Comment,
    Literal,
}

fn next_piece(rest: &str, first: char) -> (Piece, usize) {
    if rest.starts_with("//") {
        return (Piece::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Piece::Comment, block_comment(rest));
    }
    if first == '"' {
        return (Piece::Literal, quoted(rest, '"'));
    }
    if first == 'r' {
        let hashes = rest[1..].bytes().take_while(|c| *c == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let start = 2 + hashes;
            let end = rest[start..].find(&close).map(|at| start + at + close.len());
            return (Piece::Literal, end.unwrap_or(rest.len()));
        }
    }
    // A quote is a character when it is closed again, otherwise it begins a lifetime.
    if first == '\'' {
        let mut after = rest.chars().skip(1);
        if after.next() == Some('\\') || after.next() == Some('\'') {
            return (Piece::Literal, quoted(rest, '\''));
        }
    }
    (Piece::Code, first.len_utf8())
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn blank(piece: &str) -> String {
    piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("crates/a/src/b.rs".to_owned(), text)
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let read = source("let a = \"x // y\"; // z \"\nlet b = r#\"{ \" }\"#; /* c /* d */ */ e");
        assert_eq!(read.code[0].trim_end(), "let a =         ;");
        assert_eq!(read.comments[0].trim(), "// z \"");
        assert_eq!(
            read.code[1].split_whitespace().collect::<Vec<_>>(),
            ["let", "b", "=", ";", "e"]
        );
        assert_eq!(read.code[1].len(), read.lines[1].len());
    }

    #[test]
    fn lifetimes_are_code_and_characters_are_not() {
        let read = source("fn f<'a>(x: &'a str) { x == '{' || x == '\\'' || x == '}' }");
        assert!(read.code[0].contains("&'a str"));
        assert_eq!(read.functions().len(), 1);
        assert!(!read.code[0].contains("'{'"));
    }

    #[test]
    fn a_function_is_as_long_as_from_its_name_to_its_last_brace() {
        let read = source("trait T {\n fn no_body(&self);\n}\nfn b(x: [u8; 2]) -> u8\n{\n {}\n}\n");
        assert_eq!(read.functions(), [Function { name: "b".to_owned(), line: 4, length: 4 }]);
    }

    #[test]
    fn test_modules_do_not_count_as_length() {
        let read = source("a\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nc\n");
        assert_eq!(read.length(), 2);
        assert!(read.is_test_line(4));
        assert!(!read.is_test_line(6));
    }

    #[test]
    fn what_is_built_without_tests_is_no_test() {
        assert_eq!(source("#[cfg(not(test))]\nmod a {\n}\n").length(), 3);
        assert_eq!(source("#[cfg(all(test, unix))]\nmod a {\n}\n").length(), 0);
        assert_eq!(source("#[cfg(testing)]\nmod a {\n}\n").length(), 3);
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_a_test_file() {
        let mut sources = vec![
            source("#[cfg(test)]\nmod cases;\nmod other;\n"),
            Source::new("crates/a/src/b/cases.rs".to_owned(), "x\n"),
            Source::new("crates/a/src/b/cases/more.rs".to_owned(), "x\n"),
            Source::new("crates/a/src/b/other.rs".to_owned(), "x\n"),
        ];
        mark_test_files(&mut sources);
        let marks: Vec<bool> = sources.iter().map(|source| source.is_test).collect();
        assert_eq!(marks, [false, true, true, false]);
    }
}
