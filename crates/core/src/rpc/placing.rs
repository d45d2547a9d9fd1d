//! What the scheduler says, as the public API says it.

use crate::cluster::capacity::Capacity;
use eru_api::pb;
use eru_scheduler::{Reason, Refusal};
use prost::Message;

/// The type of the details of a refusal.
const REFUSAL_TYPE: &str = "type.googleapis.com/pb.PlacementRefusal";

/// What the details of a gRPC status are packed in: `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RichStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

pub(super) fn to_pb_capacity(capacity: &Capacity) -> pb::CapacityMessage {
    let wire = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let named = capacity.nodes.iter().map(|room| (room, if capacity.plans { room.added } else { room.capacity }));
    pb::CapacityMessage {
        total: wire(capacity.total),
        node_capacities: named.filter(|(_, n)| *n > 0).map(|(room, n)| (room.node.to_string(), wire(n))).collect(),
        rooms: capacity
            .nodes
            .iter()
            .map(|room| pb::NodeRoom {
                nodename: room.node.to_string(),
                capacity: wire(room.capacity),
                existing: wire(room.existing),
                added: wire(room.added),
                zone: room.zone.clone(),
                usage: room.usage,
            })
            .collect(),
        reasons: capacity.reasons.iter().map(to_pb_reason).collect(),
    }
}

fn to_pb_reason(reason: &Reason) -> pb::PlacementReason {
    pb::PlacementReason { nodes: reason.count, kind: reason.kind.as_str().to_owned(), text: reason.text.clone() }
}

/// The details of a status that says why there is no place.
pub(super) fn details(code: tonic::Code, refusal: &Refusal) -> bytes::Bytes {
    let reasons = refusal.reasons.iter().map(to_pb_reason).collect();
    let value = pb::PlacementRefusal { text: refusal.text.clone(), reasons }.encode_to_vec();
    let details = vec![prost_types::Any { type_url: REFUSAL_TYPE.to_owned(), value }];
    RichStatus { code: code as i32, message: refusal.to_string(), details }.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Error;
    use eru_scheduler::{ReasonKind, RefusalKind};

    #[test]
    fn a_client_can_read_the_reasons() {
        let reason = Reason { count: 3, kind: ReasonKind::Memory, text: "memory short by 512 MiB".into() };
        let kind = RefusalKind::NotEnough;
        let refusal = Refusal { kind, text: "not enough resource".into(), reasons: vec![reason] };
        let status = tonic::Status::from(Error::Refused(Box::new(refusal)));
        assert_eq!(status.message(), "not enough resource: 3 nodes: memory short by 512 MiB");
        let rich = RichStatus::decode(status.details()).unwrap();
        assert_eq!((rich.code, rich.message.as_str()), (tonic::Code::ResourceExhausted as i32, status.message()));
        let [packed] = &rich.details[..] else { panic!("{rich:?}") };
        assert_eq!(packed.type_url, "type.googleapis.com/pb.PlacementRefusal");
        let refusal = pb::PlacementRefusal::decode(&*packed.value).unwrap();
        assert_eq!(refusal.text, "not enough resource");
        let reason = &refusal.reasons[0];
        assert_eq!(
            (reason.nodes, reason.kind.as_str(), reason.text.as_str()),
            (3, "memory", "memory short by 512 MiB")
        );
    }
}
