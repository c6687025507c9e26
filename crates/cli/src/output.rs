//! Where answers and stories are written, which may not take them.
//!
//! Whoever writes goes on whatever happens; whoever started it asks in the end. The invariant: what
//! could not be written is never passed over in silence, except that a reader that went away, as
//! `head` does, has seen what it wanted.

use std::io::{self, ErrorKind, Write};

/// A writer that remembers the first thing that went wrong, and is then done.
#[derive(Debug)]
pub struct Output<W> {
    inner: W,
    done: bool,
    trouble: Option<io::Error>,
}

impl<W: Write> Output<W> {
    /// Nothing has gone wrong yet.
    #[must_use]
    pub const fn new(inner: W) -> Self {
        Self { inner, done: false, trouble: None }
    }

    /// What went wrong, if anything did.
    #[must_use]
    pub const fn trouble(&self) -> Option<&io::Error> {
        self.trouble.as_ref()
    }

    fn keep<T>(&mut self, result: io::Result<T>, otherwise: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.done = true;
                self.trouble = Some(error).filter(|it| it.kind() != ErrorKind::BrokenPipe);
                Ok(otherwise)
            }
            done => done,
        }
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.done {
            return Ok(bytes.len());
        }
        let result = self.inner.write(bytes);
        self.keep(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.done {
            return Ok(());
        }
        let result = self.inner.flush();
        self.keep(result, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_remembered_and_a_reader_that_left_is_not() {
        for (kind, remembered) in [(ErrorKind::StorageFull, true), (ErrorKind::BrokenPipe, false)] {
            let mut output = Output::new(Broken(kind));
            for _ in 0..2 {
                writeln!(output, "text").unwrap();
            }
            assert_eq!(output.trouble().is_some(), remembered, "{kind}");
        }
    }
}
