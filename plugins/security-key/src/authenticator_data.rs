//! What an authenticator signs: the binary structure of WebAuthn section 6.1.

use ciborium::Value;

/// What an authenticator says about a ceremony.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatorData {
    /// SHA-256 of the relying party's id.
    pub rp_id_hash: Vec<u8>,
    pub flags: Flags,
    pub counter: u32,
    /// The new key; there at a registration.
    pub attested: Option<AttestedCredential>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// Somebody touched it.
    pub fn user_present(self) -> bool {
        self.0 & 1 != 0
    }

    /// It knows who touched it: by a PIN, a finger, a face.
    pub fn user_verified(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// The key can leave the device it was made on.
    pub fn backup_eligible(self) -> bool {
        self.0 & 1 << 3 != 0
    }

    /// The key is on more than one device, or in a backup.
    pub fn backed_up(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    fn has_attested_credential(self) -> bool {
        self.0 & 1 << 6 != 0
    }

    fn has_extensions(self) -> bool {
        self.0 & 1 << 7 != 0
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestedCredential {
    /// The model of the authenticator.
    pub aaguid: [u8; 16],
    pub id: Vec<u8>,
    /// A COSE key, as it was written.
    pub public_key: Vec<u8>,
}

impl AuthenticatorData {
    /// Reads all of the bytes; nothing, if they are too many, too few, or make no sense.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let rp_id_hash = take(&mut rest, 32)?.to_vec();
        let flags = Flags(*take(&mut rest, 1)?.first()?);
        let counter = u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
        let attested = match flags.has_attested_credential() {
            true => Some(AttestedCredential::read(&mut rest)?),
            false => None,
        };
        if flags.has_extensions() {
            // No extension is asked for, and what a client adds itself is not looked at.
            let extensions = take_cbor(&mut rest)?;
            ciborium::from_reader::<Value, _>(extensions)
                .ok()?
                .as_map()?;
        }
        rest.is_empty().then_some(Self {
            rp_id_hash,
            flags,
            counter,
            attested,
        })
    }
}

impl AttestedCredential {
    fn read(rest: &mut &[u8]) -> Option<Self> {
        let aaguid = take(rest, 16)?.try_into().ok()?;
        let length = u16::from_be_bytes(take(rest, 2)?.try_into().ok()?);
        Some(Self {
            aaguid,
            id: take(rest, length.into())?.to_vec(),
            public_key: take_cbor(rest)?.to_vec(),
        })
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

/// Takes the bytes of one CBOR item.
fn take_cbor<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut left = *rest;
    ciborium::from_reader::<Value, _>(&mut left).ok()?;
    let length = rest.len() - left.len();
    take(rest, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(flags: u8, end: &[u8]) -> Vec<u8> {
        [&[7; 32], [flags].as_slice(), &[0, 0, 1, 2], end].concat()
    }

    #[test]
    fn an_assertion_has_a_hash_flags_and_a_counter() {
        let read = AuthenticatorData::read(&bytes(0b101, &[])).unwrap();
        assert_eq!(read.rp_id_hash, [7; 32]);
        assert_eq!(read.counter, 258);
        assert!(read.flags.user_present() && read.flags.user_verified());
        assert!(!read.flags.backup_eligible() && !read.flags.backed_up());
        assert_eq!(read.attested, None);
    }

    #[test]
    fn a_registration_has_a_credential_too() {
        let credential = [&[9; 16], [0, 2].as_slice(), &[1, 2], &[0xa1, 1, 2], &[0xa0]].concat();
        let read = AuthenticatorData::read(&bytes(0b1100_0001, &credential)).unwrap();
        let attested = read.attested.unwrap();
        assert_eq!(attested.aaguid, [9; 16]);
        assert_eq!(attested.id, [1, 2]);
        assert_eq!(attested.public_key, [0xa1, 1, 2]);
    }

    #[test]
    fn what_is_cut_or_goes_on_makes_no_sense() {
        let credential = [&[9; 16], [0, 2].as_slice(), &[1, 2], &[0xa1, 1, 2]].concat();
        let whole = bytes(0b100_0001, &credential);
        assert!(AuthenticatorData::read(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(AuthenticatorData::read(&whole[..length]), None, "{length}");
        }
        let more = [whole.as_slice(), &[0]].concat();
        assert_eq!(AuthenticatorData::read(&more), None);
        // Extensions are announced and are no map.
        assert_eq!(AuthenticatorData::read(&bytes(0b1000_0001, &[1])), None);
    }
}
