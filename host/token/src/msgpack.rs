//! The part of MessagePack that payloads use. The reader borrows from its input,
//! never allocates by a length that the input claims, and never panics.

use chrono::{DateTime, Utc};
use rmp::Marker;

use crate::{PayloadError, time};

/// Reads values one after another; each method names the field for the error.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// A string, a byte string or nothing: the three shapes an id has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blob<'a> {
    Nil,
    Text(&'a [u8]),
    Binary(&'a [u8]),
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// The number of elements, each of which takes at least one more byte.
    pub(crate) fn array(&mut self, field: &'static str) -> Result<usize, PayloadError> {
        let length = match self.marker(field)? {
            Marker::FixArray(length) => u64::from(length),
            Marker::Array16 => self.big_endian(2, field)?,
            Marker::Array32 => self.big_endian(4, field)?,
            _ => return Err(PayloadError::Malformed(field)),
        };
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.rest.len())
            .ok_or(PayloadError::Malformed(field))
    }

    pub(crate) fn array_of(
        &mut self,
        length: usize,
        field: &'static str,
    ) -> Result<(), PayloadError> {
        match self.array(field)? {
            found if found == length => Ok(()),
            _ => Err(PayloadError::Malformed(field)),
        }
    }

    pub(crate) fn boolean(&mut self, field: &'static str) -> Result<bool, PayloadError> {
        match self.marker(field)? {
            Marker::True => Ok(true),
            Marker::False => Ok(false),
            _ => Err(PayloadError::Malformed(field)),
        }
    }

    pub(crate) fn unsigned(&mut self, field: &'static str) -> Result<u64, PayloadError> {
        let marker = self.marker(field)?;
        self.unsigned_after(marker, field)
    }

    /// A time as Keystone writes it: seconds since the epoch, a float.
    pub(crate) fn time(&mut self, field: &'static str) -> Result<DateTime<Utc>, PayloadError> {
        match self.marker(field)? {
            Marker::F64 => time::from_float(f64::from_bits(self.big_endian(8, field)?)),
            Marker::F32 => {
                let bits = self.big_endian(4, field)? as u32;
                time::from_float(f32::from_bits(bits).into())
            }
            marker => time::from_seconds(self.unsigned_after(marker, field)?),
        }
    }

    pub(crate) fn blob(&mut self, field: &'static str) -> Result<Blob<'a>, PayloadError> {
        match self.marker(field)? {
            Marker::Null => Ok(Blob::Nil),
            Marker::FixStr(length) => self.take(length.into(), field).map(Blob::Text),
            Marker::Str8 => self.sized(1, field).map(Blob::Text),
            Marker::Str16 => self.sized(2, field).map(Blob::Text),
            Marker::Str32 => self.sized(4, field).map(Blob::Text),
            Marker::Bin8 => self.sized(1, field).map(Blob::Binary),
            Marker::Bin16 => self.sized(2, field).map(Blob::Binary),
            Marker::Bin32 => self.sized(4, field).map(Blob::Binary),
            _ => Err(PayloadError::Malformed(field)),
        }
    }

    /// Refuses anything after the last value.
    pub(crate) fn end(self) -> Result<(), PayloadError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(PayloadError::Malformed("end"))
    }

    fn unsigned_after(&mut self, marker: Marker, field: &'static str) -> Result<u64, PayloadError> {
        match marker {
            Marker::FixPos(value) => Ok(value.into()),
            Marker::U8 => self.big_endian(1, field),
            Marker::U16 => self.big_endian(2, field),
            Marker::U32 => self.big_endian(4, field),
            Marker::U64 => self.big_endian(8, field),
            _ => Err(PayloadError::Malformed(field)),
        }
    }

    fn marker(&mut self, field: &'static str) -> Result<Marker, PayloadError> {
        match self.take(1, field)? {
            [byte] => Ok(Marker::from_u8(*byte)),
            _ => Err(PayloadError::Malformed(field)),
        }
    }

    fn sized(&mut self, width: usize, field: &'static str) -> Result<&'a [u8], PayloadError> {
        let length = usize::try_from(self.big_endian(width, field)?)
            .map_err(|_| PayloadError::Malformed(field))?;
        self.take(length, field)
    }

    fn big_endian(&mut self, width: usize, field: &'static str) -> Result<u64, PayloadError> {
        let bytes = self.take(width, field)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }

    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], PayloadError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(PayloadError::Malformed(field))?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Writes values in the smallest form, as Python's `msgpack.packb` does.
#[derive(Debug)]
pub(crate) struct Writer {
    buffer: rmp::encode::buffer::ByteBuf,
}

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            buffer: rmp::encode::buffer::ByteBuf::with_capacity(capacity),
        }
    }

    pub(crate) fn array(&mut self, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let Ok(_) = rmp::encode::write_array_len(&mut self.buffer, length);
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        let Ok(()) = rmp::encode::write_bool(&mut self.buffer, value);
    }

    pub(crate) fn unsigned(&mut self, value: u64) {
        let Ok(_) = rmp::encode::write_uint(&mut self.buffer, value);
    }

    pub(crate) fn time(&mut self, time: DateTime<Utc>) {
        let Ok(()) = rmp::encode::write_f64(&mut self.buffer, time::to_seconds(time) as f64);
    }

    pub(crate) fn text(&mut self, text: &str) {
        let Ok(()) = rmp::encode::write_str(&mut self.buffer, text);
    }

    pub(crate) fn binary(&mut self, bytes: &[u8]) {
        let Ok(()) = rmp::encode::write_bin(&mut self.buffer, bytes);
    }

    pub(crate) fn nil(&mut self) {
        let Ok(()) = rmp::encode::write_nil(&mut self.buffer);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buffer.into_vec()
    }
}
