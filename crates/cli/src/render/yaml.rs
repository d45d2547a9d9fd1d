//! YAML in the form of Go's library: sorted keys, lists not indented, quotes only where they are needed.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The value as JSON, by two blanks a level, in the order of its fields.
pub fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("messages of ours are structs and maps with text keys")
}

/// The value as YAML, ending with a line feed.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Array(items) if !items.is_empty() => list(&mut out, items, 0),
        Value::Object(map) if !map.is_empty() => mapping(&mut out, map, 0, false),
        other => {
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
    out
}

fn list(out: &mut String, items: &[Value], indent: usize) {
    for item in items {
        out.push_str(&" ".repeat(indent));
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => mapping(out, map, indent + 2, true),
            Value::Array(inner) if !inner.is_empty() => {
                // The first item follows the dash.
                let mut rest = String::new();
                list(&mut rest, inner, indent + 2);
                out.push_str(rest.trim_start_matches(' '));
            }
            other => {
                out.push_str(&scalar(other));
                out.push('\n');
            }
        }
    }
}

/// `inline`: the first key stands on the line that is begun already.
fn mapping(out: &mut String, map: &serde_json::Map<String, Value>, indent: usize, inline: bool) {
    let sorted: BTreeMap<&String, &Value> = map.iter().collect();
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 || !inline {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&text(key));
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                mapping(out, inner, indent + 2, false);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                list(out, items, indent);
            }
            other => {
                out.push(' ');
                out.push_str(&scalar(other));
                out.push('\n');
            }
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(string) => text(string),
        Value::Array(_) => "[]".into(),
        Value::Object(_) => "{}".into(),
    }
}

/// A text: plain when it reads back as itself, else quoted.
fn text(text: &str) -> String {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')) {
        // JSON's escapes are YAML's.
        return Value::String(text.to_owned()).to_string();
    }
    if reads_as_other(text) {
        return format!("\"{text}\"");
    }
    if needs_quotes(text) { format!("'{}'", text.replace('\'', "''")) } else { text.to_owned() }
}

/// Words that YAML 1.1 or 1.2 takes for something else than text.
fn reads_as_other(text: &str) -> bool {
    const WORDS: [&str; 12] = ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<"];
    let lower = text.to_ascii_lowercase();
    let number = lower.replace('_', "");
    let digits = number.trim_start_matches(['+', '-']);
    WORDS.contains(&lower.as_str())
        || number.parse::<f64>().is_ok()
        || ["0x", "0o", "0b"]
            .iter()
            .any(|p| digits.strip_prefix(p).is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit())))
        || matches!(digits, ".inf" | ".nan")
        || is_timestamp(text)
}

fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let date = bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
    date && (bytes.len() == 10 || text[10..].ends_with('Z') || text[10..].contains(['+', ' ']))
}

fn needs_quotes(text: &str) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace)
        || "!&*{}[]|>@`\"'%#,".contains(first)
        || (matches!(first, '-' | '?' | ':') && text[1..].chars().next().is_none_or(|c| c.is_whitespace()))
        || text.contains(": ")
        || text.contains(" #")
        || text.ends_with(':')
        || text.starts_with("---")
        || text.starts_with("...")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn form_of_gos_library() {
        let value = json!([{
            "create_time": 1795545040, "labels": {"ERU": "1", "M": "{\"a\":1}", "x": "2026-11-24T18:25:20"},
            "status": {}, "networks": {"bridge": "172.17.0.2"}, "resource": {"cpu": 0.2}, "list": ["a", {"b": ""}], "e": [],
        }]);
        let want = "- create_time: 1795545040\n  e: []\n  labels:\n    ERU: \"1\"\n    M: '{\"a\":1}'\n    x: 2026-11-24T18:25:20\n  \
                    list:\n  - a\n  - b: \"\"\n  networks:\n    bridge: 172.17.0.2\n  resource:\n    cpu: 0.2\n  status: {}\n";
        assert_eq!(yaml(&value), want);
        assert_eq!(yaml(&json!({"cpu": {"0": 100}})), "cpu:\n  \"0\": 100\n");
        assert_eq!(yaml(&json!([])), "[]\n");
        assert_eq!(yaml(&json!([{}])), "- {}\n");
        assert_eq!(yaml(&json!([["a", "b"]])), "- - a\n  - b\n");
    }

    #[test]
    fn odd_texts_read_back_as_themselves() {
        for odd in [
            "yes", "1.0", "0x1f", "a: b", "- a", "a #b", "\x1b[2J", "", " a", "'", "\"", "a\nb", "*x", "@x", "null",
            "~", "1e3", "%x",
        ] {
            let text = yaml(&json!({ "k": odd }));
            let back: BTreeMap<String, String> = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(back["k"], odd, "{text}");
        }
    }
}
