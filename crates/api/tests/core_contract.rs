//! The descriptor set against `core_contract.txt`, both ways: nothing of the original is missing or different, and
//! nothing of ours uses a number below 101 in a message of the original.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// The first number of our own fields.
const OWN_FIELD_MIN: i32 = 101;

/// Messages of ours in package `pb`. Their numbers are their own.
const OWN_MESSAGES: [&str; 4] = ["ExitStatus", "NodeRoom", "PlacementReason", "PlacementRefusal"];

/// Enums of ours in package `pb`.
const OWN_ENUMS: [&str; 1] = ["WorkloadStatusStreamMessage.Kind"];

#[test]
fn core_proto_is_the_original_contract() {
    let expected: BTreeSet<String> = include_str!("core_contract.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let actual = contract();
    let missing: Vec<_> = expected.difference(&actual).collect();
    let added: Vec<_> = actual.difference(&expected).collect();
    assert!(missing.is_empty() && added.is_empty(), "missing: {missing:#?}\nadded: {added:#?}");
}

#[test]
fn descriptors_carry_no_comments_and_all_services() {
    let set = descriptors();
    assert!(set.file.iter().all(|file| file.source_code_info.is_none()));
    let services: Vec<_> = set
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(|service| format!("{}.{}", file.package(), service.name())))
        .collect();
    assert_eq!(services, ["pb.CoreRPC", "eru.agent.v1.Agent", "eru.controller.v1.Controller"]);
}

#[test]
fn there_are_no_oneofs() {
    fn check(message: &DescriptorProto) {
        assert!(message.oneof_decl.is_empty(), "{} has a oneof", message.name());
        message.nested_type.iter().for_each(check);
    }
    descriptors().file.iter().flat_map(|file| &file.message_type).for_each(check);
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(eru_api::FILE_DESCRIPTOR_SET).expect("build.rs encodes a descriptor set")
}

/// The lines that describe package `pb`, without what is ours.
fn contract() -> BTreeSet<String> {
    let set = descriptors();
    let core = set.file.iter().find(|file| file.package() == "pb").expect("core.proto is in the set");
    let mut lines = BTreeSet::new();
    for method in core.service.iter().flat_map(|service| &service.method) {
        lines.insert(format!(
            "rpc {}({}{}) returns ({}{})",
            method.name(),
            if method.client_streaming() { "stream " } else { "" },
            local(method.input_type()),
            if method.server_streaming() { "stream " } else { "" },
            local(method.output_type()),
        ));
    }
    for kind in &core.enum_type {
        add_enum(&mut lines, "", kind);
    }
    for message in core.message_type.iter().filter(|message| !OWN_MESSAGES.contains(&message.name())) {
        lines.insert(message.name().to_owned());
        for field in message.field.iter().filter(|field| field.number() < OWN_FIELD_MIN) {
            let kind = type_of(message, field);
            lines.insert(format!("{}.{}={}:{kind}", message.name(), field.name(), field.number()));
        }
        for kind in &message.enum_type {
            add_enum(&mut lines, &format!("{}.", message.name()), kind);
        }
    }
    lines
}

fn add_enum(lines: &mut BTreeSet<String>, scope: &str, kind: &EnumDescriptorProto) {
    let name = format!("{scope}{}", kind.name());
    if !OWN_ENUMS.contains(&name.as_str()) {
        lines.extend(kind.value.iter().map(|value| format!("enum {name}.{}={}", value.name(), value.number())));
    }
}

fn type_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let entry = message
        .nested_type
        .iter()
        .find(|nested| local(field.type_name()) == format!("{}.{}", message.name(), nested.name()));
    match entry {
        Some(entry) => format!("map<{}, {}>", single(&entry.field[0]), single(&entry.field[1])),
        None if field.label() == Label::Repeated => format!("repeated {}", single(field)),
        None => single(field),
    }
}

fn single(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::String => "string".into(),
        Type::Bytes => "bytes".into(),
        Type::Bool => "bool".into(),
        Type::Int32 => "int32".into(),
        Type::Int64 => "int64".into(),
        Type::Double => "double".into(),
        Type::Message | Type::Enum => local(field.type_name()).to_owned(),
        other => format!("{other:?}"),
    }
}

fn local(name: &str) -> &str {
    name.strip_prefix(".pb.").unwrap_or(name)
}
