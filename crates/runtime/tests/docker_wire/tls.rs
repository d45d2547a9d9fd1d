//! Who is trusted, and whom we are taken for.

use crate::scripted::{Reply, VERSION, handed_over, json, serve};
use eru_runtime::{Docker, DockerOptions, Error, ExecRequest, Runtime, TlsMaterial};
use eru_types::EngineId;
use futures::StreamExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key.
fn signed(authority: &Authority, name: &str, purpose: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

fn material(trusts: &Authority, signed_by: &Authority) -> TlsMaterial {
    let (certificate, key) = signed(signed_by, "client", ExtendedKeyUsagePurpose::ClientAuth);
    TlsMaterial { ca: trusts.pem(), cert: certificate.pem(), key: key.serialize_pem() }
}

/// A daemon that only talks to whom `clients` has signed, under a certificate for `name`; its port.
async fn daemon(servers: &Authority, clients: &Authority, name: &str) -> u16 {
    let (certificate, key) = signed(servers, name, ExtendedKeyUsagePurpose::ServerAuth);
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    // It ends with the test's runtime.
    tokio::spawn(async move {
        let script = |line: &str| match line {
            "GET /version" => json(VERSION),
            "POST /v1.41/exec/e/start" => {
                Reply::Pieces(vec![handed_over(), vec![1, 0, 0, 0], vec![0, 0, 0, 2, b'h'], b"i".to_vec()])
            }
            line if line.ends_with("/exec") => json(r#"{"Id":"e"}"#),
            _ => json("OK"),
        };
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, Arc::new(script), Arc::default()));
            }
        }
    });
    port
}

fn docker(host: &str, port: u16, tls: Option<TlsMaterial>) -> Docker {
    let endpoint = format!("tcp://{host}:{port}");
    let options = DockerOptions { tls, answer_within: Duration::from_secs(5), ..DockerOptions::new(endpoint) };
    Docker::connect(options).unwrap()
}

async fn ping(host: &str, port: u16, tls: Option<TlsMaterial>) -> Result<(), String> {
    docker(host, port, tls).ping().await.map_err(|error| {
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        error.to_string()
    })
}

#[tokio::test]
async fn the_right_ones_talk() {
    let (servers, clients) = (authority(), authority());
    let port = daemon(&servers, &clients, "127.0.0.1").await;
    ping("127.0.0.1", port, Some(material(&servers, &clients))).await.unwrap();
    let port = daemon(&servers, &servers, "localhost").await;
    ping("localhost", port, Some(material(&servers, &servers))).await.unwrap();
}

#[tokio::test]
async fn a_connection_is_handed_over_through_tls() {
    let ours = authority();
    let port = daemon(&ours, &ours, "127.0.0.1").await;
    let docker = docker("127.0.0.1", port, Some(material(&ours, &ours)));
    let request = ExecRequest { command: vec!["x".into()], ..ExecRequest::default() };
    let session = docker.exec(&EngineId::new("ab12").unwrap(), &request).await.unwrap();
    let output: Vec<_> = session.output.map(|piece| piece.unwrap().1).collect().await;
    assert_eq!(output.concat(), b"hi");
}

#[tokio::test]
async fn the_wrong_ones_do_not() {
    let (servers, clients, strangers) = (authority(), authority(), authority());
    let port = daemon(&servers, &clients, "127.0.0.1").await;
    let error = ping("127.0.0.1", port, Some(material(&strangers, &clients))).await.unwrap_err();
    assert!(
        error.contains("certificate") && error.contains(&format!("tcp://127.0.0.1:{port}")),
        "the daemon is a stranger: {error}"
    );
    let error = ping("127.0.0.1", port, Some(material(&servers, &strangers))).await.unwrap_err();
    assert!(error.contains("does not answer"), "we are a stranger: {error}");
    let error = ping("127.0.0.1", port, None).await.unwrap_err();
    assert!(error.contains("does not answer"), "it wants TLS: {error}");
    let port = daemon(&servers, &clients, "elsewhere").await;
    let error = ping("127.0.0.1", port, Some(material(&servers, &clients))).await.unwrap_err();
    assert!(error.contains("certificate"), "it is another's certificate: {error}");
}

#[tokio::test]
async fn bad_material_is_refused_by_name() {
    let ours = authority();
    let good = material(&ours, &ours);
    let other = material(&ours, &ours);
    let bad = [
        (TlsMaterial { ca: String::new(), ..good.clone() }, "ca"),
        (
            TlsMaterial { cert: "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n".into(), ..good.clone() },
            "cert",
        ),
        (TlsMaterial { key: "x".into(), ..good.clone() }, "key"),
        (TlsMaterial { key: other.key, ..good }, "cert and key"),
    ];
    for (tls, part) in bad {
        let error =
            Docker::connect(DockerOptions { tls: Some(tls), ..DockerOptions::new("tcp://127.0.0.1:1") }).unwrap_err();
        assert!(
            matches!(&error, Error::Invalid(text) if text.starts_with(&format!("docker certificates: {part}: "))),
            "{error:?}"
        );
    }
}
