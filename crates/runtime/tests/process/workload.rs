//! What the test program does as a workload.

use std::{
    env,
    ffi::OsString,
    io::{Read, Write},
    net::TcpListener,
    process::ExitCode,
};

pub fn main(args: &[OsString]) -> ExitCode {
    let words: Vec<&str> = args.iter().map(|a| a.to_str().expect("the tests speak UTF-8")).collect();
    match words[..] {
        ["serve", port] => serve(port.parse().expect("a port")),
        ["spew", bytes] => spew(bytes.parse().expect("a number")),
        _ => panic!("what is {words:?}?"),
    }
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
