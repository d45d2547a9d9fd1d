//! Resume tokens: which store, which epoch of it, and up to which revision everything was sent.

use bytes::{BufMut, Bytes, BytesMut};
use eru_kv::{Revision, StoreIdentity};

/// The form that this build writes.
const VERSION: u8 = 1;
/// Version, epoch, revision.
const HEAD_BYTES: usize = 1 + 8 + 8;
/// Longest id of a store, in bytes: etcd's is a number and a prefix.
const STORE_ID_BYTES_MAX: usize = 1024;

/// The bytes are not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "resume_token must be what a SYNCED or BOOKMARK carried, got {bytes} bytes that are no token; leave it empty to begin anew"
)]
pub struct Malformed {
    /// How many bytes there were.
    pub bytes: usize,
}

/// A resume token. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// Of the form that this build writes.
    Known {
        /// The store that it belongs to.
        store: StoreIdentity,
        /// Everything up to here was sent.
        revision: Revision,
    },
    /// Of another build, whose form this one does not know: as good as the token of another store.
    Foreign,
}

impl Token {
    /// The bytes for the wire.
    pub fn encode(store: &StoreIdentity, revision: Revision) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + store.id.len());
        bytes.put_u8(VERSION);
        bytes.put_i64(store.epoch);
        bytes.put_i64(revision.0);
        bytes.put_slice(store.id.as_bytes());
        bytes.freeze()
    }

    /// Reads what a client sent.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let malformed = Malformed { bytes: bytes.len() };
        let too_long = bytes.len() > HEAD_BYTES + STORE_ID_BYTES_MAX;
        let (version, rest) = bytes.split_first().ok_or(malformed)?;
        if too_long || *version == 0 {
            return Err(malformed);
        }
        if *version != VERSION {
            return Ok(Self::Foreign);
        }
        let (epoch, rest) = rest.split_first_chunk::<8>().ok_or(malformed)?;
        let (revision, id) = rest.split_first_chunk::<8>().ok_or(malformed)?;
        let (epoch, revision) = (i64::from_be_bytes(*epoch), i64::from_be_bytes(*revision));
        let id = std::str::from_utf8(id).map_err(|_| malformed)?.to_owned();
        if revision < 0 || epoch < 0 {
            return Err(malformed);
        }
        Ok(Self::Known { store: StoreIdentity { id, epoch }, revision: Revision(revision) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_reads_back_and_others_do_not() {
        let store = StoreIdentity { id: "s1".into(), epoch: 3 };
        let bytes = Token::encode(&store, Revision(77));
        assert_eq!(Token::decode(&bytes), Ok(Token::Known { store, revision: Revision(77) }));
        assert_eq!(Token::decode(&[2, 0, 0]), Ok(Token::Foreign));
        for bad in [&b""[..], b"\0", b"\x01", b"\x01short", &bytes[..HEAD_BYTES - 1], &[7; 5000]] {
            assert_eq!(Token::decode(bad), Err(Malformed { bytes: bad.len() }));
        }
        let mut negative = bytes.to_vec();
        negative[9] = 0xff;
        assert!(Token::decode(&negative).is_err());
        let mut binary = bytes.to_vec();
        binary.push(0xff);
        assert!(Token::decode(&binary).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Token::decode(&bytes);
        }
    }
}
