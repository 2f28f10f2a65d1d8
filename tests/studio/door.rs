//! Who may come in, and what a hostile request gets.

use crate::browser::{self, Browser};
use crate::cli::{AJAR, Sandbox};
use crate::garage::{self, Sight};
use crate::studio::Studio;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

const JSON: &str = "Content-Type: application/json";

/// A studio with one model that has a picture, and curl that is let in.
fn with_model() -> (Sandbox, Studio) {
    with_model_and(&[])
}

/// The same of a studio that is started with these words as well.
fn with_model_and(words: &[&str]) -> (Sandbox, Studio) {
    let sandbox = Sandbox::new();
    let studio = Studio::start(&sandbox, words);
    studio.let_in(&sandbox);
    let draft = r#"{"name":"gate","title":"Gate","states":["open","closed"]}"#;
    say(&sandbox, &studio, &["-d", draft, "-H", JSON], "/api/models", "200");
    let picture = sandbox.path("picture.jpg");
    garage::draw(Sight { open: true, hour: 12.0, seed: 1 }).save(&picture).expect("a picture");
    let body = format!("@{}", picture.display());
    say(&sandbox, &studio, &["--data-binary", &body], "/api/models/gate/pictures", "200");
    (sandbox, studio)
}

/// Asks for a path and fails unless the answer has this status. Gives the body.
#[track_caller]
fn say(sandbox: &Sandbox, studio: &Studio, words: &[&str], path: &str, status: &str) -> String {
    let url = format!("{}{path}", studio.origin());
    let answer = studio.curl(sandbox, &[words, &[&url]].concat()).stdout;
    let (found, body) = answer.split_once(' ').expect("a status and a body");
    assert_eq!(found, status, "{path}: {body}");
    body.to_string()
}

/// A control socket, of a device that has seen nothing yet.
fn idle_device(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let body = r#"{"device":"shed","cameras":["drive"],"watches":[],"models":{},"attempts":[]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(answer.as_bytes()));
        }
    });
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.clone(), fs::read(&path).expect("a file")));
        }
    }
    all.sort();
    all
}

#[test]
fn the_printed_address_lets_one_browser_in_once() {
    let sandbox = Sandbox::new();
    let studio = Studio::start(&sandbox, &[]);
    assert!(studio.origin().starts_with("http://127.0.0.1:"), "{}", studio.url);
    for path in ["/", "/new", "/models/gate", "/api/status", "/api/key.pub", "/?token=", "/?token=0123"] {
        let why = say(&sandbox, &studio, &[], path, "401");
        assert!(why.contains("open the address that it prints") || why.contains("prints"), "{why}");
    }
    studio.let_in(&sandbox);
    let cookie = fs::read_to_string(sandbox.path("cookies")).expect("a cookie");
    assert!(cookie.contains("#HttpOnly_127.0.0.1"), "{cookie}");
    say(&sandbox, &studio, &[], "/", "200");
    // The token is used up: whoever finds it in a history gets nothing for it.
    fs::remove_file(sandbox.path("cookies")).expect("a cookie");
    let again = studio.url.clone();
    assert!(studio.curl(&sandbox, &[&again]).stdout.starts_with("401"));
    // The style is no secret, and a page that refuses must look like one.
    say(&sandbox, &studio, &[], "/assets/studio.css", "200");
}

#[test]
fn other_pages_cannot_use_it() {
    let (sandbox, studio) = with_model();
    let workspace = sandbox.path("studio");
    let before = files(&workspace);
    let port = studio.origin().rsplit_once(':').expect("a port").1.to_string();
    let foreign: [&[&str]; 7] = [
        &["-H", "Origin: http://evil.example"],
        &["-H", "Origin: null"],
        &["-H", "Origin: https://127.0.0.1"],
        &["-H", "Origin;"],
        &["-H", "Sec-Fetch-Site: cross-site"],
        &["-H", "Sec-Fetch-Site: same-site"],
        // A name that somebody made to point here (DNS rebinding).
        &["-H", "Host: evil.example"],
    ];
    for words in foreign {
        for (path, call) in [
            ("/api/models/gate", &["-X", "DELETE"][..]),
            ("/api/models/gate/states", &["-d", r#"{"state":"ajar"}"#, "-H", JSON]),
            ("/api/models/gate/train", &["-X", "POST"]),
        ] {
            say(&sandbox, &studio, &[words, call].concat(), path, "403");
        }
    }
    for words in [&foreign[0], &foreign[1], &foreign[4], &foreign[6]] {
        say(&sandbox, &studio, words, "/api/models/gate/pictures", "403");
    }
    // No Origin at all: a program may read, with the cookie, but change nothing.
    let url = format!("{}/api/models/gate", studio.origin());
    assert!(studio.curl(&sandbox, &["-H", "Origin:", "-X", "DELETE", &url]).stdout.starts_with("403"));
    // A form of another page can send this type without being asked for leave; it is not taken.
    say(
        &sandbox,
        &studio,
        &["-d", r#"{"state":"ajar"}"#, "-H", "Content-Type: text/plain"],
        "/api/models/gate/states",
        "415",
    );
    assert_eq!(files(&workspace), before);
    // By the name localhost it is the studio as well, though its cookie is another.
    let local = format!("http://localhost:{port}/");
    let answer = studio.curl(&sandbox, &["-H", &format!("Origin: http://localhost:{port}"), &local]).stdout;
    assert!(answer.starts_with("401"), "{answer}");
}

#[test]
fn pages_cannot_be_framed_and_run_nothing_foreign() {
    let (sandbox, studio) = with_model();
    let url = format!("{}/", studio.origin());
    let head = studio.curl(&sandbox, &["--head", &url]).stdout.to_lowercase();
    for line in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: same-origin",
        "cross-origin-resource-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    // What a person typed is text, not a page.
    let draft = r#"{"name":"x","title":"<script>alert(1)</script>","states":["<img src=x>","b"]}"#;
    say(&sandbox, &studio, &["-d", draft, "-H", JSON], "/api/models", "200");
    for path in ["/", "/models/x", "/models/x/dataset"] {
        let page = say(&sandbox, &studio, &[], path, "200");
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x>"), "{page}");
    }
}

#[test]
fn no_path_leads_out_of_the_workspace() {
    let (sandbox, studio) = with_model_and(&["--device", "control.sock"]);
    // With a device and a key, so that nothing is refused for want of them.
    idle_device(&sandbox.path("control.sock"));
    say(&sandbox, &studio, &["-d", "{}", "-H", JSON], "/api/key", "200");
    sandbox.write("studio/secret.txt", "secret");
    sandbox.write("secret.jpg", fs::read(sandbox.path("picture.jpg")).expect("a picture"));
    let before = files(&sandbox.path("studio"));
    let names = [
        "..",
        "%2e%2e",
        "..%2f..%2fsecret",
        "%2e%2e%2f%2e%2e%2fsecret.jpg",
        "..%5csecret",
        "%2fetc%2fpasswd",
        "gate%00",
        ".lock",
        "secret.txt",
        "%c0%ae%c0%ae",
        "....%2f%2f",
        "gate%2f..%2fgate",
        "C:%5c",
    ];
    for name in names {
        for path in [
            format!("/models/{name}"),
            format!("/models/{name}/crop"),
            format!("/api/models/{name}/pictures"),
            format!("/api/models/gate/pictures/{name}/crop.jpg"),
            format!("/api/models/gate/pictures/{name}/frame"),
            format!("/api/models/gate/stills/{name}"),
            format!("/api/models/gate/preview/{name}?crop=0,0,1,1"),
            format!("/assets/{name}"),
        ] {
            let url = format!("{}{path}", studio.origin());
            let answer = studio.curl(&sandbox, &[&url]).stdout;
            let status: u32 = answer[..3].parse().expect("a status");
            assert!((400..500).contains(&status), "{path}: {answer}");
            assert!(!answer.contains("root:") && !answer.ends_with("secret"), "{path}: {answer}");
        }
        let recent = format!("{}/api/models/gate/recent/0/{name}/crop.jpg", studio.origin());
        let answer = studio.curl(&sandbox, &[&recent]).stdout;
        // Bytes that are no text do not even get there.
        let told = answer.starts_with("422 ") && answer.contains("does not have this picture");
        assert!(told || name.starts_with("%c0") && answer.starts_with("400 "), "{recent}: {answer}");
        let word =
            name.replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\\\").replace("%00", "\\u0000");
        let calls = [
            ("/api/models", format!(r#"{{"name":"{word}","title":"","states":["a","b"]}}"#)),
            ("/api/models/gate/delete", format!(r#"{{"ids":["{word}"]}}"#)),
            ("/api/models/gate/labels", format!(r#"{{"ids":["{word}"],"state":"open"}}"#)),
            ("/api/models/gate/undo", format!(r#"{{"undo":"{word}"}}"#)),
            ("/api/undo", format!(r#"{{"undo":"{word}"}}"#)),
        ];
        for (path, body) in calls {
            let url = format!("{}{path}", studio.origin());
            let answer = studio.curl(&sandbox, &["-d", &body, "-H", JSON, &url]).stdout;
            assert!(answer.starts_with('4'), "{path} {body}: {answer}");
        }
        for (path, body) in [
            ("/api/models/gate/sign", format!(r#"{{"version":"{word}"}}"#)),
            ("/api/models/gate/deploy", format!(r#"{{"device":0,"version":"{word}"}}"#)),
        ] {
            let why = say(&sandbox, &studio, &["-d", &body, "-H", JSON], path, "422");
            assert!(why.contains(" is no id"), "{path} {body}: {why}");
        }
        let upload = format!("/api/models/gate/pictures?camera={name}");
        say(&sandbox, &studio, &["--data-binary", "@picture.jpg"], &upload, "422");
        let version = format!(r#"{{"version":"{word}"}}"#);
        say(&sandbox, &studio, &["-X", "PUT", "-d", &version, "-H", JSON], "/api/models/gate/version", "422");
        let crop = format!("/api/models/gate/crops/{name}");
        let drawn = r#"{"crop":[0.1,0.1,0.9,0.9],"frame_size":[960,540]}"#;
        let url = format!("{}{crop}", studio.origin());
        let answer = studio.curl(&sandbox, &["-X", "PUT", "-d", drawn, "-H", JSON, &url]).stdout;
        assert!(answer.starts_with('4'), "{crop}: {answer}");
    }
    assert_eq!(files(&sandbox.path("studio")), before);
}

#[test]
fn what_is_too_large_or_no_picture_is_refused_and_nothing_is_kept() {
    let (sandbox, studio) = with_model();
    let pictures = "/api/models/gate/pictures";
    let frames = sandbox.path("studio/models/gate/frames");
    let before = files(&frames);
    let large = sandbox.path("large.jpg");
    fs::File::create(&large).and_then(|file| file.set_len(33 << 20)).expect("a large file");
    // Without waiting for leave, as a hostile program would.
    let send = |file: &Path| format!("@{}", file.display());
    say(&sandbox, &studio, &["-H", "Expect:", "--data-binary", &send(&large)], pictures, "413");
    let call = format!("{{\"ids\":[\"{}\"]}}", "a".repeat(300 << 10));
    let call = send(&sandbox.write("call.json", call));
    say(
        &sandbox,
        &studio,
        &["-H", "Expect:", "-H", JSON, "--data-binary", &call],
        "/api/models/gate/delete",
        "413",
    );

    let whole = fs::read(sandbox.path("picture.jpg")).expect("a picture");
    // A PNG of 60,000 by 60,000 pixels in a few bytes: it would fill the memory.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xEA\x60\0\0\xEA\x60\x08\x02\0\0\0".to_vec();
    bomb.extend(b"\0\0\0\0\0\0\0\x0aIDATx\x9c\x62\0\0\0\0\xff\xff");
    let broken: [(&str, &[u8]); 6] = [
        ("nothing", b""),
        ("text", b"this is no picture"),
        ("half a picture", &whole[..whole.len() / 2]),
        ("only its head", &whole[..200]),
        ("a page", b"<html><script>alert(1)</script>"),
        ("a bomb", &bomb),
    ];
    for (what, bytes) in broken {
        let file = send(&sandbox.write("broken", bytes));
        let why = say(&sandbox, &studio, &["--data-binary", &file], pictures, "422");
        assert!(why.contains("cannot be read"), "{what}: {why}");
    }
    assert_eq!(files(&frames), before);
    // It goes on all the same.
    say(&sandbox, &studio, &[], "/models/gate/dataset", "200");
}

#[test]
fn nonsense_in_a_call_is_refused_with_a_reason() {
    let (sandbox, studio) = with_model();
    let crop = |edges: &str| format!(r#"{{"crop":{edges},"frame_size":[960,540]}}"#);
    for edges in
        ["[0.5,0.5,0.1,0.9]", "[0,0,2,2]", "[-1,0,1,1]", "[0.5,0.5,0.5,0.5]", "[1e999,0,1,1]", "[0,0,1]"]
    {
        let url = format!("{}/api/models/gate/crops/drive", studio.origin());
        let answer = studio.curl(&sandbox, &["-X", "PUT", "-d", &crop(edges), "-H", JSON, &url]).stdout;
        assert!(answer.starts_with('4'), "{edges}: {answer}");
    }
    for (path, body) in [
        ("/api/models", "{"),
        ("/api/models", "[]"),
        ("/api/models/gate/labels", r#"{"ids":["a"],"state":"no such state"}"#),
        ("/api/models/gate/states", r#"{"state":"unknown"}"#),
        ("/api/models/gate/states", r#"{"state":"OPEN"}"#),
        ("/api/models/gate/states/remove", r#"{"state":"open\n"}"#),
        ("/api/models/gate/deploy", r#"{"device":99,"version":"2026-03-02_18-02-11_0"}"#),
        ("/api/models/gate/recent/label", r#"{"pictures":[[0,"x"]],"state":"open"}"#),
    ] {
        let url = format!("{}{path}", studio.origin());
        let answer = studio.curl(&sandbox, &["-d", body, "-H", JSON, &url]).stdout;
        assert!(answer.starts_with('4'), "{path} {body}: {answer}");
    }
    say(&sandbox, &studio, &[], "/no/such/page", "404");
    say(&sandbox, &studio, &[], "/api/no/such/call", "404");
    say(&sandbox, &studio, &["-X", "PUT"], "/api/models", "405");
}

#[test]
fn another_address_demands_a_password_and_warns() {
    let sandbox = Sandbox::new();
    let refused = sandbox.ajar_line("studio --no-browser --listen 0.0.0.0:0 --workspace studio");
    refused.expect_error(2, "needs a password: set AJAR_STUDIO_PASSWORD");

    let words = ["--listen", "0.0.0.0:0"];
    let mut studio = Studio::start_with(&sandbox, &words, &[("AJAR_STUDIO_PASSWORD", "correct horse")]);
    assert!(studio.said.contains("warning: "), "{}", studio.said);
    assert!(!studio.url.contains("token"), "{}", studio.url);
    // The printed address is one that another machine can use; here only this one does.
    let port = studio.origin().rsplit_once(':').expect("a port").1.to_string();
    assert!(!studio.url.contains("0.0.0.0"), "{}", studio.url);
    studio.url = format!("http://127.0.0.1:{port}/");
    let page = say(&sandbox, &studio, &[], "/", "303");
    assert!(page.is_empty(), "{page}");
    say(&sandbox, &studio, &[], "/api/status", "401");
    assert!(say(&sandbox, &studio, &[], "/login", "200").contains("Password"));
    let wrong = say(&sandbox, &studio, &["-d", "password=wrong"], "/login", "401");
    assert!(wrong.contains("That is not the password."), "{wrong}");
    // Before anybody is let in, little is read.
    let long = format!("password={}", "a".repeat(5 << 10));
    say(&sandbox, &studio, &["-d", &long], "/login", "413");
    // A crowd is turned away, not kept waiting, so that the owner gets in after it.
    let url = format!("{}/login", studio.origin());
    let answers = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| studio.curl(&sandbox, &["-d", "password=wrong", &url]).stdout))
            .collect();
        tries.into_iter().map(|one| one.join().expect("an answer")).collect::<Vec<_>>()
    });
    let away: Vec<_> = answers.iter().filter(|answer| answer.starts_with("429")).collect();
    assert!((1..12).contains(&away.len()), "{answers:?}");
    assert!(away.iter().all(|answer| answer.contains("Try again in a moment.")), "{away:?}");
    let foreign = ["-d", "password=correct+horse", "-H", "Origin: http://evil.example"];
    say(&sandbox, &studio, &foreign, "/login", "403");
    say(&sandbox, &studio, &["-d", "password=correct+horse", "--cookie-jar", "cookies"], "/login", "303");
    say(&sandbox, &studio, &[], "/", "200");
    say(&sandbox, &studio, &[], "/api/status", "200");
}

/// On a page that the browser does not call secure, which some of its functions want.
#[test]
fn a_phone_comes_in_by_the_password_and_begins_a_model() {
    let addresses = std::process::Command::new("hostname").arg("-I").output().expect("hostname").stdout;
    let addresses = String::from_utf8_lossy(&addresses).into_owned();
    let Some(address) = addresses.split_whitespace().find(|address| address.contains('.')) else {
        return println!("skipped: this computer has no address but its own");
    };
    if !browser::is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let words = ["--listen", &format!("{address}:0")];
    let studio = Studio::start_with(&sandbox, &words, &[("AJAR_STUDIO_PASSWORD", "correct horse")]);
    let browser = Browser::start(390, 844);
    browser.open(&studio.url);
    browser.fill("#password", "wrong horse");
    browser.press("Open");
    browser.wait_for_text("#wrong", "That is not the password.");
    browser.fill("#password", "correct horse");
    browser.press("Open");
    browser.wait_for_text("h1", "Is it open?");
    browser.open(&format!("{}/new", studio.origin()));
    browser.fill("#title", "Gate");
    browser.fill("#states li:nth-child(1) input", "open");
    browser.fill("#states li:nth-child(2) input", "closed");
    browser.until("Continue that can be pressed", || {
        browser.script("return document.querySelector('#next').disabled") == false
    });
}

#[test]
fn the_help_names_it_and_mistakes_are_told_before_it_starts() {
    let sandbox = Sandbox::new();
    assert!(sandbox.ajar(&["--help"]).expect(0).stdout.contains("studio"));
    let help = sandbox.ajar_line("studio --help").expect(0).stdout;
    for word in [
        "--device",
        "--pictures",
        "--video",
        "--workspace",
        "--key",
        "--listen",
        "--no-browser",
        "AJAR_STUDIO_PASSWORD",
        "AJAR_STUDIO_PASSWORD_FILE",
    ] {
        assert!(help.contains(word), "{word}");
    }
    sandbox.ajar_line("studio --no-browser --pictures nowhere").expect_error(2, "--pictures nowhere: ");
    fs::create_dir(sandbox.path("empty")).expect("a folder");
    sandbox.ajar_line("studio --no-browser --pictures empty").expect_error(2, "no picture in it or below it");
    sandbox
        .ajar_line("studio --no-browser --video nowhere.mp4")
        .expect_error(2, "--video nowhere.mp4: no such file");
    sandbox.ajar_line("studio --no-browser --video empty").expect_error(2, "--video empty: is a folder");
    sandbox.write("notes.mp4", "no video");
    sandbox.ajar_line("studio --no-browser --video notes.mp4").expect_error(2, "--video notes.mp4: ");
    sandbox.ajar_line("studio --no-browser --listen 7703").expect_error(2, "want ADDRESS:PORT, such as ");
    sandbox.ajar_line("studio --no-browser --device http://pi").expect_error(2, "ssh://");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    // Also by a name, and with a variable that is set to nothing.
    for listen in [address.clone(), address.replace("127.0.0.1", "localhost")] {
        let mut command = sandbox.command(AJAR);
        command.args(["studio", "--no-browser", "--listen", &listen]).env("AJAR_WORKSPACE", "");
        sandbox.run(&mut command).expect_error(1, "cannot be listened on");
    }
}

#[test]
fn two_studios_in_one_workspace_lose_nothing_of_each_other() {
    let (sandbox, studio) = with_model();
    let other_sandbox = Sandbox::new();
    let workspace = sandbox.path("studio").display().to_string();
    let other = Studio::start(&other_sandbox, &["--workspace", &workspace]);
    other.let_in(&other_sandbox);
    let ids: Vec<String> = (0..24)
        .map(|seed| {
            let picture = sandbox.path("one.jpg");
            garage::draw(Sight { open: seed % 2 == 0, hour: 10.0, seed }).save(&picture).expect("a picture");
            let body = format!("@{}", picture.display());
            let said = say(&sandbox, &studio, &["--data-binary", &body], "/api/models/gate/pictures", "200");
            let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
            said["id"].as_str().expect("an id").to_string()
        })
        .collect();
    // Both label at once, one picture at a time, while one adds states.
    std::thread::scope(|scope| {
        for (half, sandbox, studio) in [(0, &sandbox, &studio), (1, &other_sandbox, &other)] {
            let ids = &ids;
            scope.spawn(move || {
                for id in ids.iter().skip(half).step_by(2) {
                    let body = format!(r#"{{"ids":["{id}"],"state":"open"}}"#);
                    say(sandbox, studio, &["-d", &body, "-H", JSON], "/api/models/gate/labels", "200");
                    let body = format!(r#"{{"state":"s{}"}}"#, &id[id.len() - 6..]);
                    let states = "/api/models/gate/states";
                    let url = format!("{}{states}", studio.origin());
                    // There is room for sixteen.
                    studio.curl(sandbox, &["-d", &body, "-H", JSON, &url]);
                }
            });
        }
    });
    let labels = fs::read_to_string(sandbox.path("studio/models/gate/labels.tsv")).expect("labels");
    for id in &ids {
        assert!(labels.contains(&format!("{id}\topen\n")), "{id} is not in\n{labels}");
    }
    let model: toml::Table = fs::read_to_string(sandbox.path("studio/models/gate/model.toml"))
        .expect("a model")
        .parse()
        .expect("TOML");
    assert_eq!(model["states"].as_array().expect("states").len(), 16);
}

#[test]
fn the_browser_is_opened_with_the_printed_address() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let program = sandbox.write("bin/xdg-open", "#!/bin/sh\necho \"$1\" > opened\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    let path = format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").expect("a path"));
    let mut command = sandbox.command(AJAR);
    command.args(["studio", "--workspace", "studio"]).env("PATH", path);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("ajar studio");
    let opened = sandbox.path("opened");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let url = loop {
        let said = fs::read_to_string(&opened).unwrap_or_default();
        if said.ends_with('\n') || std::time::Instant::now() > deadline {
            break said;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let _ = child.kill();
    let _ = child.wait();
    assert!(url.starts_with("http://127.0.0.1:") && url.contains("/?token="), "{url:?}");
}
