//! What the test program does as a workload.

use crate::subject::{options_of, plain};
use eru_runtime::{Process, Runtime};
use std::{
    env,
    ffi::OsString,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::ExitCode,
};

pub fn main(args: &[OsString]) -> ExitCode {
    let words: Vec<&str> = args.iter().map(|a| a.to_str().expect("the tests speak UTF-8")).collect();
    match words[..] {
        ["serve", port] => serve(port.parse().expect("a port")),
        ["us", folder] => us(folder),
        ["spew", bytes] => spew(bytes.parse().expect("a number")),
        _ => panic!("what is {words:?}?"),
    }
}

/// Is the runtime itself: starts a workload, says so, and waits to be killed.
fn us(folder: &str) -> ExitCode {
    let run = async {
        let runtime = Process::open(options_of(Path::new(folder))).await.expect("open");
        let id = runtime.create(&plain("a_b_000001", &["sleep", "1000"])).await.expect("create");
        runtime.start(&id).await.expect("start");
        println!("{id}");
        std::future::pending::<ExitCode>().await
    };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(run)
}

/// Answers each connection with its own address.
fn serve(port: u16) -> ExitCode {
    let address = env::var("ERU_IP").expect("every workload has an address");
    let listener = match TcpListener::bind((address.as_str(), port)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on {address}:{port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("listening");
    for mut connection in listener.incoming().flatten() {
        let _ = connection.write_all(address.as_bytes());
        let _ = connection.shutdown(std::net::Shutdown::Write);
        let _ = connection.read(&mut [0]);
    }
    ExitCode::SUCCESS
}

/// Prints one line of that many bytes, without an end.
fn spew(bytes: usize) -> ExitCode {
    let chunk = vec![b'x'; 1 << 20];
    let mut out = std::io::stdout().lock();
    let mut left = bytes;
    while left > 0 {
        let count = left.min(chunk.len());
        out.write_all(&chunk[..count]).expect("the output takes it");
        left -= count;
    }
    out.write_all(b"\nend\n").expect("the output takes it");
    ExitCode::SUCCESS
}
