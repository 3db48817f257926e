//! A real Chromium, driven over a pipe by the DevTools protocol.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where browsers are called what.
const NAMES: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// The program of a browser. `cargo xtask test` installs one; where that cannot be, it says so and sets
/// `WFLO_TEST_BROWSER=none`.
pub(crate) fn find() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "what a test is run with is not the runtime's environment")]
    let (chosen, path) = (std::env::var("WFLO_TEST_BROWSER").ok(), std::env::var("PATH").unwrap_or_default());
    match chosen.as_deref() {
        Some("none") => return None,
        Some(program) => return Some(program.into()),
        None => {}
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found =
        NAMES.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|it| it.is_file()));
    Some(
        found.expect(
            "there is no Chromium here: `cargo xtask test` installs one, `WFLO_TEST_BROWSER` names one",
        ),
    )
}

pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    asked: u64,
    loads: u64,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn start(program: &PathBuf) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        // It speaks on the third and the fourth file it is given.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"])
            .arg(program)
            .args([
                "--remote-debugging-pipe",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--window-size=1100,900"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let to = child.stdin.take().expect("it is piped");
        let from = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut this = Self { child, to, from, session: None, asked: 0, loads: 0, _profile: profile };
        let target = this.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = this.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        this.session = Some(attached["sessionId"].as_str().expect("a session").to_owned());
        this.call("Page.enable", json!({}));
        this
    }

    /// Asks for something, and gives its result.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser listens");
        loop {
            let told = self.read();
            if told["id"] == self.asked {
                assert!(told["error"].is_null(), "{method}: {told}");
                return told["result"].clone();
            }
        }
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).expect("the browser speaks");
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        let told: Value = serde_json::from_slice(&bytes).expect("JSON");
        if told["method"] == "Page.loadEventFired" {
            self.loads += 1;
        }
        told
    }

    /// Does something that leads to another page, and waits until that is there.
    #[track_caller]
    fn leading(&mut self, act: impl FnOnce(&mut Self)) {
        let before = self.loads;
        act(self);
        while self.loads == before {
            self.read();
        }
    }

    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) {
        self.leading(|this| drop(this.call("Page.navigate", json!({ "url": url }))));
    }

    /// What an expression comes to on the page.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", asked);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// The text that somebody reads.
    #[track_caller]
    pub(crate) fn text(&mut self) -> String {
        self.evaluate("document.body.innerText").as_str().expect("text").to_owned()
    }

    /// Types into a field, as with a keyboard.
    #[track_caller]
    pub(crate) fn type_into(&mut self, field: &str, text: &str) {
        let focused =
            self.evaluate(&format!("document.querySelector({field:?}).focus(), document.activeElement.name"));
        assert!(focused.is_string(), "there is no field `{field}`");
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Clicks with the mouse on what leads to another page.
    #[track_caller]
    pub(crate) fn click(&mut self, element: &str) {
        let place = self.evaluate(&format!(
            "(() => {{ const it = document.querySelector({element:?}); it.scrollIntoView({{ block: 'center' }}); \
             const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2] }})()"
        ));
        self.leading(|this| {
            for kind in ["mousePressed", "mouseReleased"] {
                let event =
                    json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
                this.call("Input.dispatchMouseEvent", event);
            }
        });
    }

    /// Keeps a picture where `WFLO_TEST_PICTURES` names a folder.
    pub(crate) fn picture(&mut self, name: &str) {
        #[expect(
            clippy::disallowed_methods,
            reason = "what a test is run with is not the runtime's environment"
        )]
        let Ok(folder) = std::env::var("WFLO_TEST_PICTURES") else { return };
        for scheme in ["light", "dark"] {
            let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
            self.call("Emulation.setEmulatedMedia", json!({ "features": feature }));
            let picture =
                self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }))["data"].clone();
            let bytes = STANDARD.decode(picture.as_str().expect("a picture")).expect("base64");
            std::fs::write(PathBuf::from(&folder).join(format!("{name}-{scheme}.png")), bytes)
                .expect("a file");
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ending a child that has ended is no error worth a test's failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
