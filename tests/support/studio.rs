//! A running studio.
#![allow(dead_code)]

use crate::cli::{AJAR, Output, Sandbox};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

pub struct Studio {
    /// With the one-time token, or without where there is a password.
    pub url: String,
    /// What it said before the address.
    pub said: String,
    child: Child,
}

impl Studio {
    /// Starts it with these words as well. Its workspace is the sandbox's `studio` unless they say otherwise, its key the
    /// sandbox's `k`.
    pub fn start(sandbox: &Sandbox, words: &[&str]) -> Studio {
        Studio::start_with(sandbox, words, &[])
    }

    /// The same with these variables.
    pub fn start_with(sandbox: &Sandbox, words: &[&str], variables: &[(&str, &str)]) -> Studio {
        let mut command = sandbox.command(AJAR);
        command.args(["studio", "--no-browser", "--key", "k"]).args(words);
        if !words.contains(&"--workspace") {
            command.args(["--workspace", "studio"]);
        }
        command.envs(variables.iter().copied()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("ajar studio");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (mut said, mut url) = (String::new(), None);
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("studio ") {
                url = Some(address.to_string());
                break;
            }
            said += &format!("{line}\n");
        }
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Studio { url: url.unwrap_or_else(|| panic!("no address: {said}")), said, child }
    }

    /// `http://host:port`.
    pub fn origin(&self) -> String {
        let end = self.url[7..].find('/').expect("a path") + 7;
        self.url[..end].to_string()
    }

    /// Lets curl in by the one-time address; the cookie is kept in the sandbox.
    pub fn let_in(&self, sandbox: &Sandbox) {
        let answer = self.curl(sandbox, &["--cookie-jar", "cookies", &self.url]);
        assert!(answer.stdout.starts_with("303"), "{answer:?}");
    }

    /// Status and body of what curl asks for, with the cookie if there is one and with the studio's own origin unless
    /// the words have another.
    pub fn curl(&self, sandbox: &Sandbox, words: &[&str]) -> Output {
        let mut command = sandbox.command("curl");
        command.args(["-sS", "--path-as-is", "--max-time", "60", "--cookie", "cookies"]);
        command.args(["--write-out", "\n%{http_code}"]);
        if !words.iter().any(|word| word.starts_with("Origin")) {
            command.args(["-H", &format!("Origin: {}", self.origin())]);
        }
        let mut output = sandbox.run(command.args(words)).expect(0);
        let (body, status) = output.stdout.rsplit_once('\n').expect("a status");
        output.stdout = format!("{status} {body}");
        output
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
