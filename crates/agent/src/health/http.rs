//! A GET that must be answered. Written by hand: it must not follow, not keep, not decode and not read without end.

use super::probe::in_words;
use std::{fmt::Write, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Largest head of an answer, in bytes; what servers send in one is far below.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How much of the body is taken in, and for how long, so that the server need not see its answer cut off.
const BODY_BYTES_MAX: usize = 64 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_millis(50);
/// What counts as healthy when no code is asked for.
const HEALTHY: std::ops::Range<u16> = 200..500;

/// Asks for `path`; `code` is the status that is wanted, 0 = any of 200 to 499.
pub(super) async fn get(target: SocketAddr, path: &str, code: u16) -> Result<(), String> {
    let mut stream = TcpStream::connect(target).await.map_err(|e| in_words(&e))?;
    stream.write_all(request(target, path).as_bytes()).await.map_err(|e| in_words(&e))?;
    let head = read_head(&mut stream).await?;
    let status = status(&head)?;
    drain(stream).await;
    match code {
        0 if HEALTHY.contains(&status) => Ok(()),
        0 => Err(format!("answered {status}, wanted 200 to 499")),
        wanted if wanted == status => Ok(()),
        wanted => Err(format!("answered {status}, wanted {wanted}")),
    }
}

fn request(target: SocketAddr, path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut safe = String::with_capacity(path.len());
    for byte in path.bytes() {
        // Anything that could end the line or the request is spelt out.
        if byte.is_ascii_graphic() {
            safe.push(byte.into())
        } else {
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    format!(
        "GET {slash}{safe} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: eru-agent\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
}

async fn read_head(stream: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut head = Vec::with_capacity(1024);
    loop {
        let seen = head.len();
        if stream.read_buf(&mut head).await.map_err(|e| in_words(&e))? == 0 {
            return Err("closed the connection without a whole answer".into());
        }
        let from = seen.saturating_sub(3);
        if head[from..].windows(4).any(|w| w == b"\r\n\r\n") || head[from..].windows(2).any(|w| w == b"\n\n") {
            return Ok(head);
        }
        if head.len() > HEAD_BYTES_MAX {
            return Err(format!("answered with more than {HEAD_BYTES_MAX} bytes of headers"));
        }
    }
}

fn status(head: &[u8]) -> Result<u16, String> {
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let digits = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "));
    let code = digits.and_then(|d| match d {
        [a @ b'1'..=b'9', b, c] | [a @ b'1'..=b'9', b, c, b' ', ..] if b.is_ascii_digit() && c.is_ascii_digit() => {
            Some([a, b, c].iter().fold(0, |sum, digit| sum * 10 + u16::from(**digit - b'0')))
        }
        _ => None,
    });
    code.ok_or_else(|| {
        let text = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        format!("answered \"{}\", which is not HTTP", eru_types::name::excerpt(&text))
    })
}

/// Takes in what is still coming. A server that does not close in time has its connection closed.
async fn drain(mut stream: TcpStream) {
    let mut left = BODY_BYTES_MAX;
    let mut buffer = [0; 4096];
    let all = async {
        while left > 0 {
            match stream.read(&mut buffer).await {
                Ok(n @ 1..) => left = left.saturating_sub(n),
                _ => break,
            }
        }
    };
    // Whether it was all or not makes no difference.
    let _ = tokio::time::timeout(BODY_TIMEOUT, all).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        for (line, code) in [("HTTP/1.1 200 OK\r\n", 200), ("HTTP/1.0 503\r\n", 503), ("HTTP/1.1 301 \n", 301)] {
            assert_eq!(status(line.as_bytes()).unwrap(), code, "{line}");
        }
        for line in
            ["", "HTTP/1.1 2000 OK", "HTTP/1.1 20", "HTTP/2 200", "HTTP/1.1 -20", "http/1.1 200", "SSH-2.0\x1b[2J"]
        {
            assert!(status(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn a_path_cannot_leave_its_line() {
        let text = request("127.0.0.1:80".parse().unwrap(), "a b\r\nX: y?q=é");
        assert!(text.starts_with("GET /a%20b%0D%0AX:%20y?q=%C3%A9 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"), "{text}");
    }
}
