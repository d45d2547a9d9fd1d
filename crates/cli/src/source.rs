//! Where specs come from: a file, standard input (`-`), or a URL.

use crate::context::Context;
use crate::error::CliError;
use eru_config::layer::read_file;
use eru_config::{spec, yaml};
use eru_types::name::excerpt;
use eru_types::spec::AppSpec;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::time::Duration;

/// How long a server may take to send a spec.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// A spec, and the text that it was read from.
pub(crate) struct Source {
    pub spec: AppSpec,
    pub text: String,
}

/// Reads a spec from where `name` says, and logs what looks wrong with it.
pub(crate) async fn read(context: &Context, name: &str) -> Result<Source, CliError> {
    let (shown, text) = if name == "-" {
        ("stdin", stdin()?)
    } else if name.starts_with("http://") || name.starts_with("https://") {
        let text = fetch(context.called, name).await?;
        context.log.warn(format!("[Spec] {name} came over plain HTTP: whoever is in between can change it"));
        (name, text)
    } else {
        let text = read_file(Path::new(name))
            .map_err(|reason| CliError::Usage(format!("cannot read spec \"{}\": {reason}", excerpt(name))))?;
        (name, text)
    };
    let loaded = spec::parse(shown, &text)?;
    for warning in loaded.warnings {
        context.log.warn(format!("[Spec] {warning}"));
    }
    Ok(Source { spec: loaded.config, text })
}

fn stdin() -> Result<String, CliError> {
    let refuse = |why: String| CliError::Usage(format!("cannot read spec from stdin: {why}"));
    if std::io::stdin().is_terminal() {
        return Err(refuse("it is a terminal; pipe the spec in".into()));
    }
    let mut bytes = Vec::new();
    let limit = yaml::BYTES_MAX as u64 + 1;
    std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    match bytes.len() {
        0 => Err(CliError::Usage("stdin was empty, expected a spec".into())),
        len if len > yaml::BYTES_MAX => Err(refuse("exceeds 1 MiB".into())),
        _ => String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8".into())),
    }
}

async fn fetch(called: &str, url: &str) -> Result<String, CliError> {
    let refuse = |why: String| CliError::Usage(format!("GET {}: {why}", excerpt(url)));
    if url.starts_with("https://") {
        let hint = format!("https is not supported; pipe it in: curl -fsS URL | {called} workload deploy ... -");
        return Err(refuse(hint));
    }
    match tokio::time::timeout(FETCH_TIMEOUT, get(url)).await {
        Ok(result) => result.map_err(refuse),
        Err(_) => Err(CliError::Failed(format!("GET {}: no answer in {} s", excerpt(url), FETCH_TIMEOUT.as_secs()))),
    }
}

/// One GET without redirects.
async fn get(url: &str) -> Result<String, String> {
    let uri: hyper::Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    let host = uri.host().ok_or("not a URL: it has no host")?.to_owned();
    let address = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let stream = tokio::net::TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = hyper::Request::get(path)
        .header("host", uri.authority().map_or(host.as_str(), |authority| authority.as_str()))
        .header("user-agent", "eru-cli")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        if status.is_redirection() {
            return Err(format!("redirect refused (answered {})", status.as_u16()));
        }
        if !status.is_success() {
            return Err(format!("answered {}", status.as_u16()));
        }
        let body = Limited::new(response.into_body(), yaml::BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
            true => "body over 1 MiB".to_owned(),
            false => error.to_string(),
        })?;
        String::from_utf8(body.to_bytes().to_vec()).map_err(|_| "the body is not UTF-8".to_owned())
    };
    // The connection is driven here, beside the exchange, and ends with it.
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        result = &mut exchange => result,
        result = &mut connection => match result {
            // Everything was received: the exchange has it already.
            Ok(()) => exchange.await,
            Err(error) => Err(error.to_string()),
        },
    }
}
