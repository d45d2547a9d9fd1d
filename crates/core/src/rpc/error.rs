//! Errors as gRPC says them.

use super::placing::details;
use crate::cluster::Error;
use eru_kv::Error as StoreError;
use eru_runtime::Error as RuntimeError;
use eru_scheduler::RefusalKind;
use tonic::{Code, Status};

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let code = code(&error);
        if code == Code::Internal {
            tracing::error!(%error, "a call failed by a fault of core");
        }
        match &error {
            Error::Refused(refusal) => Status::with_details(code, error.to_string(), details(code, refusal)),
            _ => Status::new(code, error.to_string()),
        }
    }
}

/// The code of what the scheduler refuses.
pub(super) fn refusal_code(kind: RefusalKind) -> Code {
    match kind {
        RefusalKind::Invalid => Code::InvalidArgument,
        RefusalKind::UnknownNode => Code::NotFound,
        RefusalKind::NoNode => Code::FailedPrecondition,
        RefusalKind::NotEnough => Code::ResourceExhausted,
    }
}

fn code(error: &Error) -> Code {
    match error {
        Error::Invalid(_) => Code::InvalidArgument,
        Error::NotFound(_) => Code::NotFound,
        Error::Exists(_) => Code::AlreadyExists,
        Error::Precondition(_) => Code::FailedPrecondition,
        Error::Exhausted(_) => Code::ResourceExhausted,
        Error::Refused(refusal) => refusal_code(refusal.kind),
        Error::Conflict(_) => Code::Aborted,
        Error::Unavailable(_) => Code::Unavailable,
        Error::Unimplemented(_) => Code::Unimplemented,
        Error::Internal(_) => Code::Internal,
        Error::Store(error) => match error {
            // What a client sends is bounded before it comes to the store, but for sums of many lists.
            StoreError::Invalid(_) => Code::InvalidArgument,
            StoreError::Full(_) => Code::ResourceExhausted,
            StoreError::Unavailable { .. } | StoreError::Compacted(_) | StoreError::Future(_) => Code::Unavailable,
            StoreError::LeaseGone(_) => Code::Aborted,
            StoreError::Locked(_) | StoreError::Storage(_) | StoreError::Denied(_) => Code::Internal,
        },
        Error::Runtime(error) => match error {
            RuntimeError::NotFound(_) => Code::NotFound,
            RuntimeError::Invalid(_) => Code::InvalidArgument,
            RuntimeError::Running(_) | RuntimeError::Start { .. } | RuntimeError::NoImage(_) => {
                Code::FailedPrecondition
            }
            RuntimeError::Unsupported { .. } => Code::Unimplemented,
            RuntimeError::Unavailable { .. } => Code::Unavailable,
            RuntimeError::Failed(_) => Code::Internal,
        },
    }
}
