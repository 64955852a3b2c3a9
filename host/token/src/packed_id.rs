//! Ids inside payloads: 32 hex digits travel as 16 bytes, everything else as text.
//!
//! Keystone packs whatever its UUID parser accepts, so an id with dashes or capitals
//! comes out changed. Here only the form that survives the trip is packed; Keystone
//! reads the others back as text, unchanged.

use uuid::Uuid;

use crate::{
    PayloadError,
    msgpack::{Blob, Reader, Writer},
};

/// Writes `[packed?, id]`.
pub(crate) fn write(writer: &mut Writer, id: &str) {
    writer.array(2);
    writer.boolean(uuid(id).is_some());
    write_bare(writer, id);
}

/// Writes `[packed?, id]`, or `[false, nil]` where there is no id.
pub(crate) fn write_optional(writer: &mut Writer, id: Option<&str>) {
    if let Some(id) = id {
        return write(writer, id);
    }
    writer.array(2);
    writer.boolean(false);
    writer.nil();
}

/// Writes an id without its flag, the form of domain and trust ids: the reader tells
/// the two apart by the MessagePack type.
pub(crate) fn write_bare(writer: &mut Writer, id: &str) {
    match uuid(id) {
        Some(uuid) => writer.binary(uuid.as_bytes()),
        None => writer.text(id),
    }
}

pub(crate) fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<String, PayloadError> {
    read_optional(reader, field)?.ok_or(PayloadError::Malformed(field))
}

pub(crate) fn read_optional(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<String>, PayloadError> {
    reader.array_of(2, field)?;
    let packed = reader.boolean(field)?;
    match (packed, reader.blob(field)?) {
        (true, Blob::Binary(bytes) | Blob::Text(bytes)) => unpack(bytes, field).map(Some),
        (false, Blob::Binary(bytes) | Blob::Text(bytes)) => text(bytes, field).map(Some),
        (false, Blob::Nil) => Ok(None),
        (true, Blob::Nil) => Err(PayloadError::Malformed(field)),
    }
}

/// Reads an id without its flag. Text that is not UTF-8 is a packed id from a
/// Keystone whose MessagePack library had no byte strings.
pub(crate) fn read_bare(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<String, PayloadError> {
    match reader.blob(field)? {
        Blob::Binary(bytes) => unpack(bytes, field).or_else(|_| text(bytes, field)),
        Blob::Text(bytes) => text(bytes, field).or_else(|_| unpack(bytes, field)),
        Blob::Nil => Err(PayloadError::Malformed(field)),
    }
}

/// Reads plain text, such as a protocol's id.
pub(crate) fn read_text(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<String, PayloadError> {
    match reader.blob(field)? {
        Blob::Binary(bytes) | Blob::Text(bytes) => text(bytes, field),
        Blob::Nil => Err(PayloadError::Malformed(field)),
    }
}

fn uuid(id: &str) -> Option<Uuid> {
    let is_lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if id.len() != 32 || !id.bytes().all(is_lower_hex) {
        return None;
    }
    Uuid::try_parse_ascii(id.as_bytes()).ok()
}

fn unpack(bytes: &[u8], field: &'static str) -> Result<String, PayloadError> {
    let uuid = Uuid::from_slice(bytes).map_err(|_| PayloadError::Malformed(field))?;
    let mut hex = [0; uuid::fmt::Simple::LENGTH];
    Ok(uuid.simple().encode_lower(&mut hex).to_owned())
}

fn text(bytes: &[u8], field: &'static str) -> Result<String, PayloadError> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(PayloadError::Malformed(field)),
    }
}
