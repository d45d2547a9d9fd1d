//! Conversions between the messages of the public API and the nouns of `eru-types`.
