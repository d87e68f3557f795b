//! The gateway as systemd runs it: the unit is judged by systemd's own programs, and what systemd is told is what happens.

use std::{
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::harness::{
    Gateway,
    command_line::gatehouse,
    process::{Process, Signal},
    raw,
    waiting::{SOON, within},
};

fn deployed(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/deploy");
    folder.join(name)
}

/// The units in a folder of their own, with the program that was built.
fn units() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["gatehouse.service", "gatehouse.socket"] {
        let text = std::fs::read_to_string(deployed(name)).unwrap();
        let text = text.replace("/usr/local/bin/gatehouse", env!("CARGO_BIN_EXE_gatehouse"));
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn systemd_analyze(arguments: &[&str], unit: &Path) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .output()
        .expect("systemd-analyze is installed");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    if arguments.contains(&"verify") {
        assert_eq!(said, "");
    }
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let units = units();
    for name in ["gatehouse.service", "gatehouse.socket"] {
        systemd_analyze(&["verify", "--man=no"], &units.path().join(name));
    }
}

#[test]
fn the_service_is_exposed_to_little() {
    // Of 100; a service without any of it has 96.
    let arguments = ["security", "--offline=true", "--threshold=20"];
    systemd_analyze(&arguments, &units().path().join("gatehouse.service"));
}

#[test]
fn the_configuration_beside_the_unit_is_accepted() {
    let config = deployed("gatehouse.toml");
    let checked = gatehouse(&config, &["check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let config: toml::Table = std::fs::read_to_string(&config).unwrap().parse().unwrap();
    let server = &config["server"];
    let value_of = |name: &str, key: &str| -> Vec<String> {
        let text = std::fs::read_to_string(deployed(name)).unwrap();
        let values = text.lines().filter_map(|line| line.strip_prefix(key));
        values.map(str::to_owned).collect()
    };
    let listen = server["listen"].as_array().unwrap();
    let listen: Vec<_> = listen
        .iter()
        .map(|address| address.as_str().unwrap())
        .collect();
    assert_eq!(value_of("gatehouse.socket", "ListenStream="), listen);
    let seconds = |text: &str| -> u64 { text.trim_end_matches('s').parse().unwrap() };
    let drain = ["drain", "drain_delay"].map(|key| seconds(server[key].as_str().unwrap()));
    let stop = value_of("gatehouse.service", "TimeoutStopSec=");
    assert!(drain[0] + drain[1] < seconds(&stop[0]));
}

/// Ended with the test.
struct Activated(Child);

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_systemd_holds_is_taken() {
    let mut gateway = Gateway::start().await;
    gateway.stop().await;
    // It starts the program in its own place on the first connection.
    let activated = Command::new("systemd-socket-activate")
        .arg(format!("--listen={}", gateway.address))
        .arg(env!("CARGO_BIN_EXE_gatehouse"))
        .args(["serve", "--config"])
        .arg(&gateway.config)
        .env_remove("GATEHOUSE_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("systemd-socket-activate is installed");
    let _activated = Activated(activated);
    within(SOON, "it is served", async || {
        tokio::net::TcpStream::connect(gateway.address).await.ok()?;
        let answer = raw::get(gateway.address, "/public/page", &[]).await;
        (answer.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_what_happens() {
    let mut gateway = Gateway::start().await;
    gateway.stop().await;
    let path = gateway.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let hears = async |what: &str| {
        within(SOON, what, async || {
            let mut told = [0; 1024];
            let length = socket.recv(&mut told).ok()?;
            let told = String::from_utf8_lossy(&told[..length]).into_owned();
            told.contains(what).then_some(told)
        })
        .await
    };
    let (mut process, _) = Process::serve_and_log(&gateway.config, &[("NOTIFY_SOCKET", &path)]);
    hears("READY=1").await;
    process.signal(Signal::HUP);
    let reloading = hears("RELOADING=1").await;
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    hears("READY=1").await;
    process.restart().await;
    process.alone().await;
    hears("MAINPID=").await;
    process.signal(Signal::TERM);
    hears("STOPPING=1").await;
    process.ended().await;
}
