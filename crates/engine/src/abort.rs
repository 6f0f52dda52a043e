//! Never a half-dead server: a panic of a thread, or of a task that a runtime would bury, ends the process.

use std::borrow::Cow;

/// Ends the process when a panic unwinds through it; the panic's own message has been printed by then.
pub struct AbortOnPanic(pub Cow<'static, str>);

impl AbortOnPanic {
    /// Of a thread or task with this name.
    pub const fn named(name: &'static str) -> Self {
        AbortOnPanic(Cow::Borrowed(name))
    }
}

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("trunkline: {} panicked; the process ends", self.0);
            std::process::abort();
        }
    }
}

#[cfg(test)]
pub mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Output};

    use super::*;

    const SIGABRT: i32 = 6;

    /// Run a test that is ignored otherwise in a process of its own.
    pub fn alone(name: &str) -> Output {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .output()
            .unwrap()
    }

    /// It was aborted after it had said this.
    pub fn ended_by(output: &Output, message: &str) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{said}");
        assert!(said.contains(message), "{said}");
    }

    #[test]
    #[ignore = "ends its process"]
    fn panics_in_a_thread() {
        let thread = std::thread::spawn(|| {
            let _guard = AbortOnPanic::named("the SIP thread");
            panic!("on purpose");
        });
        let _ = thread.join();
    }

    #[test]
    fn test_a_panic_of_a_thread_ends_the_process_and_says_so() {
        let output = alone("abort::tests::panics_in_a_thread");
        ended_by(&output, "on purpose");
        ended_by(&output, "trunkline: the SIP thread panicked; the process ends");
    }
}
