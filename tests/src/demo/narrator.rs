use tokensmith_tests::http::Response;

/// Prints each step with what really came back, and remembers whether all was as expected.
#[derive(Default)]
pub(crate) struct Narrator {
    steps: usize,
    failed: usize,
}

impl Narrator {
    pub(crate) fn heading(&self, text: &str) {
        println!("\n== {text}");
    }

    pub(crate) fn tell(&self, text: &str) {
        println!("     {text}");
    }

    /// A step with the status it has to have.
    pub(crate) fn response(&mut self, step: &str, status: u16, response: &Response, shown: &str) {
        self.expect(
            &format!("{step} -> {}", response.status),
            response.status == status,
        );
        self.tell(shown);
        if response.status != status {
            self.tell(&format!("expected {status}"));
        }
    }

    pub(crate) fn expect(&mut self, step: &str, good: bool) {
        self.steps += 1;
        if !good {
            self.failed += 1;
        }
        println!("{} {step}", if good { "ok  " } else { "FAIL" });
    }

    /// Whether every step was as expected.
    pub(crate) fn finish(&self) -> bool {
        println!("\n{} steps, {} failed", self.steps, self.failed);
        self.failed == 0
    }
}
