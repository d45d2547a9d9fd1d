//! `ERU_META`: the label that carries publish list and health check to whoever watches a runtime.
//!
//! The JSON has exactly the original's keys, in its order, with nothing left out; agents of the original read it.

use crate::health::{HealthCheck, HttpCheck};
use serde::{Deserialize, Serialize};

/// The content of the `ERU_META` label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Published ports, as the spec spelled them.
    #[serde(rename = "Publish", default)]
    pub publish: Option<Vec<String>>,
    /// The health check.
    #[serde(rename = "HealthCheck", default)]
    pub health_check: Option<MetaHealthCheck>,
}

/// The health check as `ERU_META` spells it: all text, as the spec gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaHealthCheck {
    /// TCP ports.
    #[serde(rename = "TCPPorts", default)]
    pub tcp_ports: Option<Vec<String>>,
    /// HTTP port, "" for none.
    #[serde(rename = "HTTPPort", default)]
    pub http_port: String,
    /// Path.
    #[serde(rename = "HTTPURL", default)]
    pub http_url: String,
    /// Wanted code, 0 for 200 to 499.
    #[serde(rename = "HTTPCode", default)]
    pub http_code: i32,
}

impl Meta {
    /// The label's text.
    pub fn to_label(&self) -> String {
        serde_json_compact(self)
    }

    /// The health check in typed form; ports that are not numbers are left out, as nothing can listen there.
    pub fn health(&self) -> HealthCheck {
        let Some(check) = &self.health_check else { return HealthCheck::default() };
        let port = |text: &String| text.trim().parse::<u16>().ok().filter(|p| *p > 0);
        let http = port(&check.http_port).map(|port| HttpCheck {
            port,
            path: if check.http_url.starts_with('/') { check.http_url.clone() } else { format!("/{}", check.http_url) },
            code: u16::try_from(check.http_code).unwrap_or(0),
        });
        HealthCheck { tcp_ports: check.tcp_ports.iter().flatten().filter_map(port).collect(), http }
    }
}

fn serde_json_compact(meta: &Meta) -> String {
    serde_json::to_string(meta).expect("a struct of strings and numbers always serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_has_the_original_form() {
        assert_eq!(Meta::default().to_label(), r#"{"Publish":null,"HealthCheck":null}"#);
        let meta = Meta {
            publish: Some(vec!["80".into()]),
            health_check: Some(MetaHealthCheck {
                http_port: "80".into(),
                http_url: "/index.html".into(),
                http_code: 200,
                ..MetaHealthCheck::default()
            }),
        };
        let text = r#"{"Publish":["80"],"HealthCheck":{"TCPPorts":null,"HTTPPort":"80","HTTPURL":"/index.html","HTTPCode":200}}"#;
        assert_eq!(meta.to_label(), text);
        assert_eq!(serde_json::from_str::<Meta>(text).unwrap(), meta);
        assert_eq!(meta.health().http.unwrap().port, 80);
    }
}
