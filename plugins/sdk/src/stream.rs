//! Connections to the servers the operator granted, for protocols that are not HTTP.

pub use crate::bindings::directory_connector::archstone::plugin::stream::{
    Connection, Security, StreamError, keep, take,
};

impl StreamError {
    /// What happened, for a log.
    pub fn describe(&self) -> String {
        let what = match self {
            Self::Invalid(what) => return format!("this cannot be done: {what}"),
            Self::Failed(place) => return format!("the connection failed ({place})"),
            Self::ServerNotGranted => "the operator has not granted this server",
            Self::AddressNotAllowed => "the server's address is not allowed",
            Self::TimedOut => "the server took too long",
            Self::TooLarge => "the server said more than one call may hear",
            Self::TooMany => "this call has opened all the connections it may",
        };
        what.to_owned()
    }
}
