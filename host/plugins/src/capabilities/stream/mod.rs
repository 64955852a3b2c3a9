//! `stream`: connections to the servers an operator granted, for protocols that are not HTTP.

mod client;

use wasmtime::component::Resource;

pub use client::Line;
pub(crate) use client::StreamClient;
use client::StreamFailure;

use crate::{
    bindings::directory_connector::archstone::plugin::stream::{
        Host, HostConnection, Security, StreamError,
    },
    call::Call,
};

/// What the instance is told, within what traps it.
type Told<T> = wasmtime::Result<Result<T, StreamError>>;

impl HostConnection for Call {
    async fn open(&mut self, host: String, port: u16, security: Security) -> Told<Resource<Line>> {
        let Some(left) = self.connections_left.checked_sub(1) else {
            return Ok(Err(StreamError::TooMany));
        };
        self.connections_left = left;
        let Some(client) = &self.granted.stream else {
            return Ok(Err(StreamError::ServerNotGranted));
        };
        match client.open(&host, port, security == Security::Tls).await {
            Ok(line) => Ok(Ok(self.lines.push(line)?)),
            Err(failure) => Ok(Err(self.tell(failure))),
        }
    }

    async fn start_tls(&mut self, line: Resource<Line>) -> Told<()> {
        let line = self.lines.get_mut(&line)?;
        let Some(client) = &self.granted.stream else {
            return Ok(Err(StreamError::ServerNotGranted));
        };
        let encrypted = client.start_tls(line).await;
        Ok(encrypted.map_err(|failure| self.tell(failure)))
    }

    async fn write(&mut self, line: Resource<Line>, bytes: Vec<u8>) -> Told<()> {
        let Some(left) = self.stream_bytes_left.checked_sub(bytes.len()) else {
            return Ok(Err(StreamError::TooLarge));
        };
        self.stream_bytes_left = left;
        let line = self.lines.get_mut(&line)?;
        let Some(client) = &self.granted.stream else {
            return Ok(Err(StreamError::ServerNotGranted));
        };
        let written = client.write(line, &bytes).await;
        Ok(written.map_err(|failure| self.tell(failure)))
    }

    async fn read(&mut self, line: Resource<Line>) -> Told<Vec<u8>> {
        let line = self.lines.get_mut(&line)?;
        let Some(client) = &self.granted.stream else {
            return Ok(Err(StreamError::ServerNotGranted));
        };
        match client.read(line).await {
            Ok(bytes) => match self.stream_bytes_left.checked_sub(bytes.len()) {
                Some(left) => {
                    self.stream_bytes_left = left;
                    Ok(Ok(bytes))
                }
                None => Ok(Err(StreamError::TooLarge)),
            },
            Err(failure) => Ok(Err(self.tell(failure))),
        }
    }

    fn drop(&mut self, line: Resource<Line>) -> wasmtime::Result<()> {
        self.lines.delete(line)?;
        Ok(())
    }
}

impl Host for Call {
    fn keep(&mut self, line: Resource<Line>, label: String) -> wasmtime::Result<()> {
        let line = self.lines.delete(line)?;
        if let Some(client) = &self.granted.stream {
            client.keep(line, label);
        }
        Ok(())
    }

    fn take(&mut self, label: String) -> wasmtime::Result<Option<Resource<Line>>> {
        let Some(line) = self
            .granted
            .stream
            .as_ref()
            .and_then(|client| client.take(&label))
        else {
            return Ok(None);
        };
        Ok(Some(self.lines.push(line)?))
    }
}

impl Call {
    fn tell(&self, failure: StreamFailure) -> StreamError {
        tracing::debug!(
            plugin = self.granted.method,
            ?failure,
            "a plugin's connection failed"
        );
        match failure {
            StreamFailure::Invalid(what) => StreamError::Invalid(what.to_owned()),
            StreamFailure::ServerNotGranted => StreamError::ServerNotGranted,
            StreamFailure::AddressNotAllowed => StreamError::AddressNotAllowed,
            StreamFailure::TimedOut => StreamError::TimedOut,
            StreamFailure::Failed(place) => StreamError::Failed(place.to_owned()),
        }
    }
}
