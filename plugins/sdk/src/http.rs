//! Requests to the servers the operator granted.

use serde::de::DeserializeOwned;

pub use crate::bindings::archstone::plugin::http::HttpError;
use crate::{Denial, bindings::archstone::plugin::http};

/// A request in the making.
#[derive(Debug, Clone)]
pub struct Request(http::Request);

impl Request {
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self(http::Request {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
        })
    }

    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// Sends it. A redirect or an error status is an answer like any other.
    ///
    /// # Errors
    /// [`HttpError`]; `?` makes it a denial as unavailable.
    pub fn send(&self) -> Result<Response, HttpError> {
        http::send(&self.0).map(Response)
    }
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Response(http::Response);

impl Response {
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The first value of a header; names are in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.0.headers.iter();
        headers
            .find(|(this, _)| this == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// The body, as a type.
    ///
    /// # Errors
    /// A denial as unavailable, if the server did not answer with such JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Denial> {
        serde_json::from_slice(&self.0.body)
            .map_err(|_| Denial::unavailable("the server did not answer with the JSON expected"))
    }
}

impl From<HttpError> for Denial {
    fn from(error: HttpError) -> Self {
        let why = match error {
            HttpError::Invalid(what) => {
                return Self::unavailable(format!("no such request: {what}"));
            }
            HttpError::Failed(place) => return Self::unavailable(format!("no answer: {place}")),
            HttpError::OriginNotGranted => "the operator has not granted this origin",
            HttpError::AddressNotAllowed => "the server's address is not allowed",
            HttpError::TimedOut => "the server took too long",
            HttpError::TooLarge => "the server's answer is too large",
            HttpError::TooMany => "this call has made all the requests it may",
        };
        Self::unavailable(why)
    }
}
