//! The app spec.
