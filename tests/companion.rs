//! The companion as its users meet it: every command, its output, its exit codes, its mistakes.
#![cfg(all(feature = "companion", feature = "device"))]

#[path = "support/cli.rs"]
mod cli;
#[path = "companion/cut.rs"]
mod cut;
#[path = "companion/engine.rs"]
mod engine;
#[path = "companion/evaluate.rs"]
mod evaluate;
#[path = "companion/export.rs"]
mod export;
#[path = "support/fixture.rs"]
mod fixture;
#[path = "companion/keys.rs"]
mod keys;
#[path = "support/onnxruntime.rs"]
mod onnxruntime;
#[path = "support/pictures.rs"]
mod pictures;
#[path = "companion/real.rs"]
mod real;
#[path = "support/scene.rs"]
mod scene;
#[path = "companion/suggest.rs"]
mod suggest;
#[path = "companion/train.rs"]
mod train;
#[path = "companion/tune.rs"]
mod tune;

use cli::Sandbox;

/// Subcommands in the help text of `ajar` or one of its subcommands.
fn subcommands(help: &str) -> Vec<String> {
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names =
        commands.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(String::from).collect()
}

/// Help of a command and of everything below it; returns how many texts there were.
fn print_help(sandbox: &Sandbox, command: &str) -> usize {
    let output = sandbox.ajar_line(&format!("{command} --help")).expect(0);
    assert!(output.stdout.contains("Usage: ajar"), "{command}: {}", output.stdout);
    let below = subcommands(&output.stdout);
    1 + below.iter().map(|name| print_help(sandbox, &format!("{command} {name}"))).sum::<usize>()
}

#[test]
fn every_command_has_help() {
    let sandbox = Sandbox::new();
    // ajar, its 7 commands, `key new` and the 3 commands of `bundle`.
    assert!(print_help(&sandbox, "") >= 12);
    for command in ["--help", "run --help", "check --help"] {
        let output = sandbox.ajard(&command.split(' ').collect::<Vec<_>>()).expect(0);
        assert!(output.stdout.contains("Usage: ajard"), "{}", output.stdout);
    }
}

#[test]
fn versions_are_told() {
    let sandbox = Sandbox::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(sandbox.ajar_line("--version").expect(0).stdout, format!("ajar {version}\n"));
    assert_eq!(sandbox.ajard(&["--version"]).expect(0).stdout, format!("ajard {version}\n"));
}

#[test]
fn what_cannot_be_parsed_is_the_users_mistake() {
    let cases = [
        ("", "Usage: ajar"),
        ("explode", "unrecognized subcommand 'explode'"),
        ("bundel verify x", "'bundle'"),
        ("bundle", "Usage: ajar bundle"),
        ("bundle sign x", "unrecognized subcommand 'sign'"),
        ("key", "Usage: ajar key"),
        ("key new", "--out <DIR>"),
        ("train --name gate", "--dataset <DIR>"),
        ("classify --bundle x.ajb", "<PICTURE>..."),
        ("deploy --device http://x x.ajb", "want ssh://user@host, or the path of a control socket"),
        ("evaluate --dateset x", "'--dataset"),
        ("cut --source x --crop 0,0,1 --every 1 --out o", "want x1,y1,x2,y2"),
        ("cut --source x --crop 0,0,x,1,1 --every 1 --out o", "want x1,y1,x2,y2"),
        ("cut --source x --crop 1,0,0,1 --every 1 --out o", "want x1 < x2 and y1 < y2"),
        ("cut --source x --crop nan,0,1,1 --every 1 --out o", "want x1 < x2 and y1 < y2"),
        ("cut --source x --crop=-1,0,1,1 --every 1 --out o", "none below 0"),
        ("cut --source x --crop 0,0,1,1 --every 0 --out o", "want a number of seconds above 0"),
        ("cut --source x --crop 0,0,1,1 --every nan --out o", "want a number of seconds above 0"),
        (
            "cut --source x --crop 0,0,1,1 --every 1 --out o --codec h266",
            "[possible values: h264, h265, mjpeg]",
        ),
    ];
    let sandbox = Sandbox::new();
    for (line, says) in cases {
        sandbox.ajar_line(line).expect_error(2, says);
    }
    assert!(!sandbox.path("o").exists());
}

#[test]
fn a_start_that_is_no_time_is_the_users_mistake() {
    let sandbox = Sandbox::new();
    for from in ["nan", "inf", "-1"] {
        sandbox
            .ajar_line(&format!("cut --source x --crop 0,0,1,1 --every 1 --out o --from={from}"))
            .expect_error(2, "--from");
    }
}
