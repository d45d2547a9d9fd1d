//! Generates the Rust side of `proto/`, without protoc.
//!
//! Besides the messages and services it writes `descriptors.bin`, the encoded descriptor set that server reflection
//! serves, and gives every message the JSON form of `src/json.rs`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

const PROTO_DIR: &str = "../../proto";
const PROTOS: [&str; 3] = ["core.proto", "agent.proto", "controller.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    for proto in PROTOS {
        println!("cargo:rerun-if-changed={}", Path::new(PROTO_DIR).join(proto).display());
    }
    let descriptors = protox::compile(PROTOS, [PROTO_DIR])?;
    write_without_comments(&descriptors)?;

    let mut builder = tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .message_attribute(".", "#[derive(serde::Serialize)]")
        .emit_rerun_if_changed(false);
    for file in &descriptors.file {
        for message in &file.message_type {
            for (path, attribute) in json_attributes(&format!(".{}", file.package()), message) {
                builder = builder.field_attribute(path, attribute);
            }
        }
    }
    builder.compile_fds(descriptors)?;
    Ok(())
}

/// Writes the descriptor set for reflection: comments would triple its size and no client reads them.
fn write_without_comments(descriptors: &FileDescriptorSet) -> Result<(), Box<dyn Error>> {
    let mut bare = descriptors.clone();
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("descriptors.bin"), bare.encode_to_vec())?;
    Ok(())
}

/// The serde attribute of every field of `message` and of the messages in it, by path.
fn json_attributes(scope: &str, message: &DescriptorProto) -> Vec<(String, String)> {
    let path = format!("{scope}.{}", message.name());
    let mut attributes: Vec<(String, String)> = message
        .field
        .iter()
        .map(|field| (format!("{path}.{}", field.name()), json_attribute(&path, message, field)))
        .collect();
    for nested in &message.nested_type {
        if !is_map_entry(nested) {
            attributes.extend(json_attributes(&path, nested));
        }
    }
    attributes
}

fn json_attribute(path: &str, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let mut arguments = vec!["skip_serializing_if = \"crate::json::is_default\"".to_string()];
    // The Rust name of a field is in snake case, the JSON name is the one in the proto file.
    if field.name().contains(char::is_uppercase) {
        arguments.push(format!("rename = \"{}\"", field.name()));
    }
    let repeated = field.label() == Label::Repeated;
    let form = match (json_form(field), map_value(path, message, field).map(json_form)) {
        (Some(form), _) => {
            assert!(!repeated, "{path}.{}: a list of {form} has no JSON form yet", field.name());
            Some(form.to_string())
        }
        (None, Some(Some(form))) => Some(format!("{form}_map")),
        (None, _) => None,
    };
    if let Some(form) = form {
        arguments.push(format!("serialize_with = \"crate::json::{form}\""));
    }
    format!("#[serde({})]", arguments.join(", "))
}

/// The function of `src/json.rs` for types that serde would write differently.
fn json_form(field: &FieldDescriptorProto) -> Option<&'static str> {
    match field.r#type() {
        Type::Bytes => Some("base64"),
        Type::Double => Some("double"),
        Type::Float => panic!("{}: float has no JSON form yet", field.name()),
        _ => None,
    }
}

/// The value field of a map field's entry; nothing for a field that is no map.
fn map_value<'a>(
    path: &str,
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a FieldDescriptorProto> {
    let entry = message.nested_type.iter().find(|nested| field.type_name() == format!("{path}.{}", nested.name()))?;
    if is_map_entry(entry) { entry.field.iter().find(|value| value.number() == 2) } else { None }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}
