//! One conversation with a directory (RFC 4511), one request at a time.

use bytes::BytesMut;
use ldap3_proto::{
    LdapCodec,
    control::LdapControl,
    proto::{
        LdapBindCred, LdapBindRequest, LdapDerefAliases, LdapExtendedRequest, LdapFilter, LdapMsg,
        LdapOp, LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry,
        LdapSearchScope,
    },
};
use tokio_util::codec::{Decoder, Encoder};

const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// A group can name very many members.
const LARGEST_MESSAGE: usize = 8 << 20;
const DEEPEST_MESSAGE: usize = 32;

/// What carries the bytes.
pub trait Transport {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure>;

    /// Waits for bytes; none at all at the end.
    fn read(&mut self) -> Result<Vec<u8>, Failure>;

    fn start_tls(&mut self) -> Result<(), Failure>;
}

/// Why the directory could not be asked. Never holds what was secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub detail: String,
    /// The connection is of no more use; on another one it may work.
    pub lost: bool,
}

impl Failure {
    pub fn lost(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            lost: true,
        }
    }

    pub fn refused(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            lost: false,
        }
    }
}

pub struct Session<T> {
    transport: T,
    codec: LdapCodec,
    arrived: BytesMut,
    last_id: i32,
}

/// What to look for.
#[derive(Debug, Clone)]
pub struct Search {
    pub base: String,
    pub scope: LdapSearchScope,
    pub aliases: LdapDerefAliases,
    pub filter: LdapFilter,
    pub attributes: Vec<String>,
    /// How many entries a page has (RFC 2696); 0 where there are no pages.
    pub page_size: u32,
    /// How many entries are enough.
    pub most: Option<u32>,
}

/// Whether a password was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Yes,
    No,
}

impl<T: Transport> Session<T> {
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            codec: LdapCodec::new(Some(LARGEST_MESSAGE), Some(DEEPEST_MESSAGE)),
            arrived: BytesMut::new(),
            last_id: 0,
        }
    }

    /// The connection, if it is in order: nothing has arrived that nobody asked for.
    pub fn into_idle(self) -> Option<T> {
        self.arrived.is_empty().then_some(self.transport)
    }

    /// Encrypts what follows (RFC 4511 section 4.14).
    pub fn start_tls(&mut self) -> Result<(), Failure> {
        let id = self.send(
            LdapOp::ExtendedRequest(LdapExtendedRequest {
                name: START_TLS.to_owned(),
                value: None,
            }),
            Vec::new(),
        )?;
        let answer = match self.receive(id)?.op {
            LdapOp::ExtendedResponse(answer) => answer.res,
            _ => return Err(out_of_place()),
        };
        if answer.code != LdapResultCode::Success {
            return Err(refusal("StartTLS", &answer));
        }
        // What came with the answer was not protected, and must not be taken for what was.
        if !self.arrived.is_empty() {
            return Err(Failure::lost(
                "the server sent more than an answer to StartTLS",
            ));
        }
        self.transport.start_tls()
    }

    /// Proves who one is by a password (RFC 4513 section 5.1.3). An empty one proves nothing, though
    /// servers say otherwise, and is never sent.
    pub fn bind(&mut self, dn: &str, password: &str) -> Result<Bound, Failure> {
        if dn.is_empty() || password.is_empty() {
            return Ok(Bound::No);
        }
        let request = LdapOp::BindRequest(LdapBindRequest {
            version: 3,
            dn: dn.to_owned(),
            cred: LdapBindCred::Simple(password.to_owned()),
        });
        let id = self.send(request, Vec::new())?;
        let answer = match self.receive(id)?.op {
            LdapOp::BindResponse(answer) => answer.res,
            _ => return Err(out_of_place()),
        };
        match answer.code {
            LdapResultCode::Success => Ok(Bound::Yes),
            LdapResultCode::InvalidCredentials
            | LdapResultCode::InappropriateAuthentication
            | LdapResultCode::InsufficentAccessRights
            | LdapResultCode::ConstraintViolation
            | LdapResultCode::UnwillingToPerform
            | LdapResultCode::NoSuchObject
            | LdapResultCode::InvalidDNSyntax => Ok(Bound::No),
            _ => Err(refusal("the bind", &answer)),
        }
    }

    /// Hands over every entry that is found; says whether there are more than were wanted. What is
    /// elsewhere (references, RFC 4511 section 4.5.3) is passed over.
    pub fn search(
        &mut self,
        search: &Search,
        each: &mut dyn FnMut(LdapSearchResultEntry),
    ) -> Result<bool, Failure> {
        let most = search.most.unwrap_or(u32::MAX);
        let mut found = 0;
        let mut cookie = Vec::new();
        loop {
            let wanted = most.saturating_sub(found).saturating_add(1);
            let page = search.page_size.min(wanted);
            let id = self.send_search(search, page, std::mem::take(&mut cookie))?;
            let mut more = false;
            let done = loop {
                let message = self.receive(id)?;
                match message.op {
                    LdapOp::SearchResultEntry(_) if found >= most => more = true,
                    LdapOp::SearchResultEntry(entry) => {
                        found += 1;
                        each(entry);
                    }
                    LdapOp::SearchResultReference(_) | LdapOp::IntermediateResponse(_) => {}
                    LdapOp::SearchResultDone(done) => {
                        cookie = next_page(message.ctrl);
                        break done;
                    }
                    _ => return Err(out_of_place()),
                }
            };
            match done.code {
                LdapResultCode::Success => {}
                LdapResultCode::NoSuchObject => return Ok(false),
                // The server's own limit, or ours.
                LdapResultCode::SizeLimitExceeded => return Ok(true),
                _ => return Err(refusal("the search", &done)),
            }
            if more || (found >= most && !cookie.is_empty()) {
                self.leave_pages(search, cookie)?;
                return Ok(true);
            }
            if cookie.is_empty() {
                return Ok(false);
            }
        }
    }

    fn send_search(&mut self, search: &Search, page: u32, cookie: Vec<u8>) -> Result<i32, Failure> {
        let pages = search.page_size > 0;
        // With pages, it is they that bound how much comes.
        let limit = search
            .most
            .filter(|_| !pages)
            .map(|most| most.saturating_add(1));
        let request = LdapOp::SearchRequest(LdapSearchRequest {
            base: search.base.clone(),
            scope: search.scope.clone(),
            aliases: search.aliases.clone(),
            sizelimit: limit
                .and_then(|limit| i32::try_from(limit).ok())
                .unwrap_or(0),
            timelimit: 0,
            typesonly: false,
            filter: search.filter.clone(),
            attrs: search.attributes.clone(),
        });
        let paging = pages.then(|| LdapControl::SimplePagedResults {
            size: page.into(),
            cookie,
        });
        self.send(request, paging.into_iter().collect())
    }

    /// Tells the server that no further page is wanted (RFC 2696 section 3).
    fn leave_pages(&mut self, search: &Search, cookie: Vec<u8>) -> Result<(), Failure> {
        if cookie.is_empty() {
            return Ok(());
        }
        let id = self.send_search(search, 0, cookie)?;
        loop {
            if let LdapOp::SearchResultDone(_) = self.receive(id)?.op {
                return Ok(());
            }
        }
    }

    fn send(&mut self, op: LdapOp, ctrl: Vec<LdapControl>) -> Result<i32, Failure> {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let mut bytes = BytesMut::new();
        let message = LdapMsg {
            msgid: self.last_id,
            op,
            ctrl,
        };
        self.codec
            .encode(message, &mut bytes)
            .map_err(|_| Failure::refused("a request cannot be written"))?;
        self.transport.write(&bytes)?;
        Ok(self.last_id)
    }

    fn receive(&mut self, id: i32) -> Result<LdapMsg, Failure> {
        loop {
            let message = self.codec.decode(&mut self.arrived);
            match message.map_err(|_| Failure::lost("the server's answer is no LDAP"))? {
                Some(message) if message.msgid == id => return Ok(message),
                // A notice of disconnection (RFC 4511 section 4.4.1), or what nobody asked for.
                Some(_) => return Err(Failure::lost("the server ended the conversation")),
                None => {}
            }
            let bytes = self.transport.read()?;
            if bytes.is_empty() {
                return Err(Failure::lost("the server closed the connection"));
            }
            self.arrived.extend_from_slice(&bytes);
        }
    }
}

fn next_page(controls: Vec<LdapControl>) -> Vec<u8> {
    controls
        .into_iter()
        .find_map(|control| match control {
            LdapControl::SimplePagedResults { cookie, .. } => Some(cookie),
            _ => None,
        })
        .unwrap_or_default()
}

fn out_of_place() -> Failure {
    Failure::lost("the server answered something else")
}

/// Names the result's code only: what a server writes beside it can be anything.
fn refusal(what: &str, result: &LdapResult) -> Failure {
    match result.code {
        LdapResultCode::Referral => Failure::refused(format!(
            "{what} was referred to another server; that is not followed"
        )),
        LdapResultCode::Busy | LdapResultCode::Unavailable => Failure::lost(format!(
            "the server is busy: {what} failed with {:?}",
            result.code
        )),
        _ => Failure::refused(format!("{what} failed with {:?}", result.code)),
    }
}
