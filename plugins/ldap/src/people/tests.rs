//! The questions, put to a small directory made for this.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use bytes::BytesMut;
use ldap3_proto::{
    LdapCodec,
    control::LdapControl,
    proto::{
        LdapBindCred, LdapBindResponse, LdapExtendedResponse, LdapMsg, LdapOp,
        LdapPartialAttribute, LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry,
        LdapSearchResultReference,
    },
};
use serde_json::{Value, json};
use tokio_util::codec::{Decoder, Encoder};

use super::*;

const USERS: &str = "ou=people,dc=x";

type Attributes = Vec<(&'static str, Vec<String>)>;

/// The entries, and what was seen of the clients.
#[derive(Default)]
struct World {
    entries: Vec<(String, Attributes)>,
    password: &'static str,
    searches: RefCell<Vec<LdapFilter>>,
    binds: RefCell<Vec<String>>,
    opened: Cell<u32>,
    encrypted: Cell<u32>,
    kept: RefCell<Vec<(String, Line)>>,
    /// The next connections break at their first read.
    breaks: Cell<u32>,
    answer: RefCell<Option<LdapResultCode>>,
    says_too_much: Cell<bool>,
}

struct Line {
    world: Rc<World>,
    codec: LdapCodec,
    received: BytesMut,
    ready: VecDeque<u8>,
    broken: bool,
}

impl World {
    fn add(&mut self, dn: &str, class: &str, attributes: &[(&'static str, &[&str])]) {
        let mut all = vec![("objectClass", vec![class.to_owned()])];
        for (name, values) in attributes {
            all.push((
                name,
                values.iter().map(|value| (*value).to_owned()).collect(),
            ));
        }
        self.entries.push((dn.to_owned(), all));
    }

    fn matches(&self, filter: &LdapFilter, entry: &[(&'static str, Vec<String>)]) -> bool {
        let values = |attribute: &str| {
            let found = entry
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(attribute));
            found
                .map(|(_, values)| values.as_slice())
                .unwrap_or_default()
        };
        match filter {
            LdapFilter::And(all) => all.iter().all(|one| self.matches(one, entry)),
            LdapFilter::Or(all) => all.iter().any(|one| self.matches(one, entry)),
            LdapFilter::Not(one) => !self.matches(one, entry),
            LdapFilter::Present(name) => !values(name).is_empty(),
            LdapFilter::Equality(name, value) => values(name)
                .iter()
                .any(|known| known.eq_ignore_ascii_case(value)),
            LdapFilter::Substring(name, parts) => values(name).iter().any(|known| {
                let known = known.to_lowercase();
                let low = |part: &Option<String>| part.clone().unwrap_or_default().to_lowercase();
                known.starts_with(&low(&parts.initial))
                    && known.ends_with(&low(&parts.final_))
                    && parts
                        .any
                        .iter()
                        .all(|part| known.contains(&part.to_lowercase()))
            }),
            _ => false,
        }
    }

    fn answer(&self, message: LdapMsg) -> Vec<LdapMsg> {
        let id = message.msgid;
        let plain = |op| LdapMsg {
            msgid: id,
            op,
            ctrl: Vec::new(),
        };
        let done = |code| LdapResult {
            code,
            matcheddn: String::new(),
            message: "the server says something".to_owned(),
            referral: Vec::new(),
        };
        match message.op {
            LdapOp::BindRequest(request) => {
                let LdapBindCred::Simple(password) = request.cred else {
                    return Vec::new();
                };
                self.binds.borrow_mut().push(request.dn);
                let code = match password == self.password {
                    true => LdapResultCode::Success,
                    false => LdapResultCode::InvalidCredentials,
                };
                let res = done(self.answer.borrow().clone().unwrap_or(code));
                vec![plain(LdapOp::BindResponse(LdapBindResponse {
                    res,
                    saslcreds: None,
                }))]
            }
            LdapOp::ExtendedRequest(_) => {
                let response = LdapExtendedResponse {
                    res: done(LdapResultCode::Success),
                    name: None,
                    value: None,
                };
                let mut all = vec![plain(LdapOp::ExtendedResponse(response))];
                if self.says_too_much.get() {
                    all.push(LdapMsg {
                        msgid: 2,
                        ..all[0].clone()
                    });
                }
                all
            }
            LdapOp::SearchRequest(request) => self.found(id, request, message.ctrl),
            _ => Vec::new(),
        }
    }

    fn found(&self, id: i32, request: LdapSearchRequest, ctrl: Vec<LdapControl>) -> Vec<LdapMsg> {
        self.searches.borrow_mut().push(request.filter.clone());
        let in_scope = |dn: &str| match request.scope {
            LdapSearchScope::Base => dn::comparable(dn) == dn::comparable(&request.base),
            _ => dn::is_within(dn, &request.base),
        };
        let all: Vec<_> = self
            .entries
            .iter()
            .filter(|(dn, entry)| in_scope(dn) && self.matches(&request.filter, entry))
            .collect();
        let (mut from, mut most) = (0, usize::MAX);
        let mut cookie = None;
        for control in ctrl {
            if let LdapControl::SimplePagedResults {
                size,
                cookie: given,
            } = control
            {
                from = String::from_utf8(given).unwrap().parse().unwrap_or(0);
                most = size as usize;
                cookie = Some(from + most);
            }
        }
        let mut code = self
            .answer
            .borrow()
            .clone()
            .unwrap_or(LdapResultCode::Success);
        if request.sizelimit > 0 && all.len() > request.sizelimit as usize {
            most = most.min(request.sizelimit as usize);
            code = LdapResultCode::SizeLimitExceeded;
        }
        let op = |op| LdapMsg {
            msgid: id,
            op,
            ctrl: Vec::new(),
        };
        let mut messages = vec![op(LdapOp::SearchResultReference(
            LdapSearchResultReference {
                uris: vec!["ldap://elsewhere/".to_owned()],
            },
        ))];
        messages.extend(all.iter().skip(from).take(most).map(|(dn, entry)| {
            let wanted = entry.iter().filter(|(name, _)| {
                request
                    .attrs
                    .iter()
                    .any(|wanted| wanted.eq_ignore_ascii_case(name))
            });
            let attributes = wanted.map(|(name, values)| LdapPartialAttribute {
                atype: (*name).to_owned(),
                vals: values
                    .iter()
                    .map(|value| value.clone().into_bytes())
                    .collect(),
            });
            op(LdapOp::SearchResultEntry(LdapSearchResultEntry {
                dn: dn.clone(),
                attributes: attributes.collect(),
            }))
        }));
        let next = cookie.filter(|next| most > 0 && *next < all.len());
        let ctrl = cookie.map(|_| LdapControl::SimplePagedResults {
            size: 0,
            cookie: next
                .map(|next| next.to_string().into_bytes())
                .unwrap_or_default(),
        });
        messages.push(LdapMsg {
            msgid: id,
            op: LdapOp::SearchResultDone(LdapResult {
                code,
                matcheddn: String::new(),
                message: String::new(),
                referral: Vec::new(),
            }),
            ctrl: ctrl.into_iter().collect(),
        });
        messages
    }
}

impl Transport for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.received.extend_from_slice(bytes);
        while let Some(message) = self.codec.decode(&mut self.received).unwrap() {
            for answer in self.world.answer(message) {
                let mut bytes = BytesMut::new();
                self.codec.encode(answer, &mut bytes).unwrap();
                self.ready.extend(bytes);
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Vec<u8>, Failure> {
        if self.broken {
            return Ok(Vec::new());
        }
        // In pieces that end anywhere.
        let piece = self.ready.len().min(97);
        Ok(self.ready.drain(..piece).collect())
    }

    fn start_tls(&mut self) -> Result<(), Failure> {
        self.world.encrypted.set(self.world.encrypted.get() + 1);
        Ok(())
    }
}

impl Dial for Rc<World> {
    type Transport = Line;

    fn open(&self, server: &Server) -> Result<Line, Failure> {
        if server.host == "down" {
            return Err(Failure::lost("connect"));
        }
        self.opened.set(self.opened.get() + 1);
        let broken = self.breaks.get() > 0;
        self.breaks.set(self.breaks.get().saturating_sub(1));
        Ok(Line {
            world: Rc::clone(self),
            codec: LdapCodec::default(),
            received: BytesMut::new(),
            ready: VecDeque::new(),
            broken,
        })
    }

    fn kept(&self, label: &str) -> Option<Line> {
        let mut kept = self.kept.borrow_mut();
        let place = kept.iter().position(|(known, _)| known == label)?;
        Some(kept.remove(place).1)
    }

    fn keep(&self, transport: Line, label: &str) {
        self.kept.borrow_mut().push((label.to_owned(), transport));
    }

    fn random(&self) -> u64 {
        1
    }
}

fn world() -> World {
    let mut world = World {
        password: "right",
        ..World::default()
    };
    world.add(USERS, "organizationalUnit", &[]);
    for number in 0..25 {
        let uid = format!("u{number:02}");
        let dn = format!("uid={uid},{USERS}");
        let name = format!("User {number}");
        world.add(
            &dn,
            "person",
            &[("uid", &[&uid]), ("cn", &[&name]), ("mail", &["a@x"])],
        );
    }
    let member = |number: u32| format!("UID=u{number:02}, ou=people,dc=x");
    world.add(
        "cn=inner,ou=groups,dc=x",
        "group",
        &[
            ("cn", &["inner"]),
            (
                "member",
                &["uid=u01,ou=people,dc=x", "uid=u01,ou=others,dc=x"],
            ),
        ],
    );
    world.add(
        "cn=middle,ou=groups,dc=x",
        "group",
        &[
            ("cn", &["middle"]),
            (
                "member",
                &["cn=inner,ou=groups,dc=x", "cn=outer,ou=groups,dc=x"],
            ),
        ],
    );
    world.add(
        "cn=outer,ou=groups,dc=x",
        "group",
        &[
            ("cn", &["outer"]),
            (
                "member",
                &["cn=middle,ou=groups,dc=x", &member(2), "cn=gone,dc=x"],
            ),
        ],
    );
    world
}

fn config(more: Value) -> Config {
    let mut all = json!({
        "url": "ldap://directory",
        "user_tree_dn": USERS,
        "user_objectclass": "person",
        "user_id_attribute": "uid",
        "user_name_attribute": "cn",
        "group_tree_dn": "ou=groups,dc=x",
        "group_objectclass": "group",
        "group_name_attribute": "cn",
        "query_scope": "sub",
    });
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

fn directory<'a>(config: &'a Config, world: &Rc<World>) -> Directory<'a, Rc<World>> {
    assert_eq!(config.check(), Ok(()));
    Directory {
        config,
        password: Some("right".to_owned()),
        dial: Rc::clone(world),
    }
}

fn ids(listing: &Listing) -> Vec<&str> {
    let mut ids: Vec<_> = listing
        .entries
        .iter()
        .map(|entry| entry.id.as_str())
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn users_are_listed_with_pages_and_without() {
    let world = Rc::new(world());
    for page_size in [0, 1, 4, 25, 100] {
        let config = config(json!({ "page_size": page_size }));
        let directory = directory(&config, &world);
        let all = directory.list_users(&[], None).unwrap();
        assert_eq!((all.entries.len(), all.more), (25, false), "{page_size}");
        let some = directory.list_users(&[], Some(7)).unwrap();
        assert_eq!((some.entries.len(), some.more), (7, true), "{page_size}");
        let exactly = directory.list_users(&[], Some(25)).unwrap();
        assert_eq!(
            (exactly.entries.len(), exactly.more),
            (25, false),
            "{page_size}"
        );
    }
}

#[test]
fn a_condition_is_the_directorys_to_look_at() {
    let world = Rc::new(world());
    let config = config(json!({ "user_filter": "(!(uid=u07))" }));
    let directory = directory(&config, &world);
    let condition = |comparison, value: &str| Condition {
        attribute: "name".to_owned(),
        comparison,
        value: value.to_owned(),
    };
    for (comparison, value, count) in [
        (Comparison::Equals, "user 3", 1),
        (Comparison::Equals, "user 7", 0),
        (Comparison::StartsWith, "user 1", 11),
        (Comparison::EndsWith, "4", 3),
        (Comparison::Contains, "SER 2", 6),
        (Comparison::Contains, "", 24),
        (Comparison::Contains, "*", 0),
    ] {
        let found = directory
            .list_users(&[condition(comparison, value)], None)
            .unwrap();
        assert_eq!(found.entries.len(), count, "{comparison:?} {value:?}");
    }
}

#[test]
fn names_and_ids_are_values_and_never_syntax() {
    let world = Rc::new(world());
    let config = config(json!({}));
    let directory = directory(&config, &world);
    for attempt in [
        "*",
        "u01)(uid=*",
        "*)(|(uid=*",
        "u0*",
        "\\2a",
        "u01\0",
        ")",
        "uid=u01,ou=people,dc=x",
    ] {
        assert_eq!(directory.find_user(Key::Id(attempt)), Ok(None));
        assert_eq!(directory.find_user(Key::Name(attempt)), Ok(None));
        assert_eq!(directory.find_group(Key::Id(attempt)), Ok(None));
        assert_eq!(directory.groups_of_user(attempt, &[], None), Ok(None));
        assert!(matches!(
            directory.verify(Key::Name(attempt), "right"),
            Err(Unproven::Rejected(_))
        ));
        let asked = world.searches.take();
        let whole = |filter: &LdapFilter| {
            matches!(filter, LdapFilter::And(all)
            if all.len() == 2 && matches!(&all[0], LdapFilter::Equality(_, value) if value == attempt))
        };
        assert!(asked.iter().all(whole), "{asked:?}");
    }
}

#[test]
fn a_password_is_the_directorys_to_look_at() {
    let world = Rc::new(world());
    let config = config(json!({ "user": "cn=service,dc=x" }));
    let directory = directory(&config, &world);
    assert_eq!(
        directory.verify(Key::Name("User 3"), "right").unwrap().id,
        "u03"
    );
    for (key, password) in [
        (Key::Id("u03"), "wrong"),
        (Key::Id("u03"), ""),
        (Key::Id("nobody"), "right"),
    ] {
        assert!(
            matches!(directory.verify(key, password), Err(Unproven::Rejected(_))),
            "{key:?}"
        );
    }
    let binds = world.binds.take();
    let user = format!("uid=u03,{USERS}");
    let nobody = format!("cn=archstone-nobody,{USERS}");
    assert_eq!(binds, ["cn=service,dc=x", &user, &user, &nobody]);
    assert_eq!(world.opened.get(), 2, "connections are used again");
    let kept: Vec<_> = world
        .kept
        .borrow()
        .iter()
        .map(|(label, _)| label.clone())
        .collect();
    assert_eq!(kept, [SERVICE, SPARE]);
}

#[test]
fn a_connection_that_broke_meanwhile_is_replaced_once() {
    let world = Rc::new(world());
    let config = config(json!({}));
    let directory = directory(&config, &world);
    assert!(directory.find_user(Key::Id("u01")).unwrap().is_some());
    world.kept.borrow_mut()[0].1.broken = true;
    assert!(directory.find_user(Key::Id("u01")).unwrap().is_some());
    assert_eq!(world.opened.get(), 2);
    world.kept.borrow_mut()[0].1.broken = true;
    world.breaks.set(1);
    assert!(directory.find_user(Key::Id("u01")).unwrap_err().lost);
    assert!(world.kept.borrow().is_empty());
}

#[test]
fn the_next_server_is_asked_where_one_is_down() {
    let world = Rc::new(world());
    let config = config(json!({ "url": "ldap://down,ldap://directory" }));
    assert!(
        directory(&config, &world)
            .find_user(Key::Id("u01"))
            .unwrap()
            .is_some()
    );
    let down = Config {
        url: "ldap://down".to_owned(),
        ..config.clone()
    };
    let failure = directory(&down, &Rc::new(self::world()))
        .find_user(Key::Id("u01"))
        .unwrap_err();
    assert_eq!(failure.detail, "down: connect");
}

#[test]
fn starttls_comes_first_and_nothing_may_ride_with_it() {
    let world = Rc::new(world());
    let config = config(json!({ "use_tls": true, "user": "cn=service,dc=x" }));
    assert!(
        directory(&config, &world)
            .find_user(Key::Id("u01"))
            .unwrap()
            .is_some()
    );
    assert_eq!(world.encrypted.get(), 1);
    world.kept.take();
    world.says_too_much.set(true);
    let failure = directory(&config, &world)
        .find_user(Key::Id("u01"))
        .unwrap_err();
    assert!(failure.detail.contains("StartTLS"), "{failure:?}");
    assert_eq!((world.encrypted.get(), world.binds.borrow().len()), (1, 1));
}

#[test]
fn what_the_server_refuses_is_a_failure_and_no_answer() {
    let world = Rc::new(world());
    let config = config(json!({}));
    for code in [
        LdapResultCode::Referral,
        LdapResultCode::OperationsError,
        LdapResultCode::Busy,
    ] {
        world.answer.replace(Some(code));
        let directory = directory(&config, &world);
        assert!(directory.find_user(Key::Id("u01")).is_err());
        assert!(directory.list_groups(&[], None).is_err());
        assert!(matches!(
            directory.verify(Key::Id("u01"), "right"),
            Err(Unproven::Failed(_))
        ));
    }
    world.answer.replace(Some(LdapResultCode::NoSuchObject));
    let nowhere = Config {
        user_tree_dn: Some("ou=nowhere,dc=x".to_owned()),
        ..config
    };
    assert_eq!(
        directory(&nowhere, &world).list_users(&[], None),
        Ok(Listing::default())
    );
}

#[test]
fn a_wrong_service_account_is_a_failure() {
    let world = Rc::new(World {
        password: "another",
        ..world()
    });
    let config = config(json!({ "user": "cn=service,dc=x" }));
    assert!(
        directory(&config, &world)
            .find_user(Key::Id("u01"))
            .is_err()
    );
    assert!(
        world.searches.borrow().is_empty(),
        "nothing is asked as nobody instead"
    );
}

#[test]
fn membership_is_direct_unless_nesting_is_asked_for() {
    let world = Rc::new(world());
    for (nested, above, within) in [
        (false, vec!["inner"], vec!["u02"]),
        (true, vec!["inner", "middle", "outer"], vec!["u01", "u02"]),
    ] {
        let config = config(json!({ "group_ad_nesting": nested }));
        let directory = directory(&config, &world);
        let groups = directory.groups_of_user("u01", &[], None).unwrap().unwrap();
        assert_eq!(ids(&groups), above);
        let members = directory
            .members_of_group("outer", &[], None)
            .unwrap()
            .unwrap();
        assert_eq!(ids(&members), within);
        assert_eq!(directory.members_of_group("none", &[], None), Ok(None));
    }
}

#[test]
fn an_unwanted_group_still_leads_to_those_around_it() {
    let world = Rc::new(world());
    let config = config(json!({ "group_ad_nesting": true, "group_filter": "(!(cn=middle))" }));
    let groups = directory(&config, &world)
        .groups_of_user("u01", &[], None)
        .unwrap()
        .unwrap();
    assert_eq!(ids(&groups), ["inner", "outer"]);
}

#[test]
fn membership_can_be_what_makes_a_user_enabled() {
    let mut world = world();
    world.add(
        &format!("cn=enabled_users,{USERS}"),
        "person",
        &[
            ("uid", &["x"]),
            ("cn", &["enabled_users"]),
            ("member", &["uid=U01,ou=people,dc=x"]),
        ],
    );
    let world = Rc::new(world);
    let config = config(json!({ "user_enabled_emulation": true }));
    let directory = directory(&config, &world);
    assert!(
        directory
            .find_user(Key::Id("u01"))
            .unwrap()
            .unwrap()
            .enabled
    );
    assert!(
        !directory
            .find_user(Key::Id("u02"))
            .unwrap()
            .unwrap()
            .enabled
    );
    let all = directory.list_users(&[], None).unwrap().entries;
    let enabled: Vec<_> = all
        .iter()
        .filter(|user| user.enabled)
        .map(|user| user.id.as_str())
        .collect();
    assert_eq!((all.len(), enabled), (25, vec!["u01"]));
}

#[test]
fn members_can_be_named_by_their_ids() {
    let mut world = world();
    world.add(
        "cn=posix,ou=groups,dc=x",
        "group",
        &[("cn", &["posix"]), ("memberUid", &["u05", "u06", "u99"])],
    );
    let world = Rc::new(world);
    let config =
        config(json!({ "group_member_attribute": "memberUid", "group_members_are_ids": true }));
    let directory = directory(&config, &world);
    let members = directory
        .members_of_group("posix", &[], None)
        .unwrap()
        .unwrap();
    assert_eq!(ids(&members), ["u05", "u06"]);
    let groups = directory.groups_of_user("u05", &[], None).unwrap().unwrap();
    assert_eq!(ids(&groups), ["posix"]);
    let some = directory
        .members_of_group("posix", &[], Some(1))
        .unwrap()
        .unwrap();
    assert_eq!((some.entries.len(), some.more), (1, true));
}
