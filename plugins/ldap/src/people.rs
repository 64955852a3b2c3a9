//! What is asked of a directory: users, groups, who is in which group, and whose password it is.

use std::collections::HashSet;

use ldap3_proto::proto::{
    LdapFilter, LdapMatchingRuleAssertion, LdapSearchScope, LdapSubstringFilter,
};

use crate::{
    config::{Config, Server, Tree, Wrong},
    dn,
    entry::{Besides, Entry, named_by, texts},
    session::{Bound, Failure, Search, Session, Transport},
};

/// Matches members of members too (Active Directory's LDAP_MATCHING_RULE_IN_CHAIN).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// What Active Directory, and its lightweight sibling, say of themselves.
const ACTIVE_DIRECTORY: [&str; 2] = ["1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1851"];
/// How many values one filter compares with.
const BATCH: usize = 50;
/// Groups within groups are followed this far, however they are tangled.
const MOST_GROUPS: usize = 10_000;

/// A connection bound as the service account, or bound as nobody where there is none.
const SERVICE: &str = "service";
/// A connection bound as anybody: good for nothing but another bind.
const SPARE: &str = "spare";

/// What makes connections, and keeps them between calls.
pub trait Dial {
    type Transport: Transport;

    fn open(&self, server: &Server) -> Result<Self::Transport, Failure>;

    fn kept(&self, label: &str) -> Option<Self::Transport>;

    fn keep(&self, transport: Self::Transport, label: &str);

    /// A number that nobody can foresee.
    fn random(&self) -> u64;
}

/// How one entry is named.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    Id(&'a str),
    Name(&'a str),
}

/// What entries have to be like.
#[derive(Debug, Clone)]
pub struct Condition {
    pub attribute: String,
    pub comparison: Comparison,
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
}

/// Entries, and whether there are more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    pub entries: Vec<Entry>,
    pub more: bool,
}

/// Why nobody is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    Rejected(&'static str),
    Failed(Failure),
}

impl From<Failure> for Unproven {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::refused(format!("`{}`: {}", wrong.option, wrong.what))
    }
}

pub struct Directory<'a, D> {
    pub config: &'a Config,
    /// The service account's.
    pub password: Option<String>,
    pub dial: D,
}

impl<D: Dial> Directory<'_, D> {
    pub fn find_user(&self, key: Key<'_>) -> Result<Option<Entry>, Failure> {
        let users = self.config.users()?;
        self.as_service(|session| self.user(session, &users, key))
    }

    pub fn find_group(&self, key: Key<'_>) -> Result<Option<Entry>, Failure> {
        let groups = self.config.groups()?;
        self.as_service(|session| self.group(session, &groups, key, Besides::default()))
    }

    pub fn list_users(
        &self,
        conditions: &[Condition],
        most: Option<u32>,
    ) -> Result<Listing, Failure> {
        let users = self.config.users()?;
        let filter = listed(&users, conditions)?;
        self.as_service(|session| {
            let mut listing = self.users(session, &users, filter.clone(), most)?;
            self.tell_enabled(session, &mut listing.entries)?;
            Ok(listing)
        })
    }

    pub fn list_groups(
        &self,
        conditions: &[Condition],
        most: Option<u32>,
    ) -> Result<Listing, Failure> {
        let groups = self.config.groups()?;
        let filter = listed(&groups, conditions)?;
        self.as_service(|session| self.entries(session, &groups, filter.clone(), most))
    }

    pub fn groups_of_user(
        &self,
        id: &str,
        conditions: &[Condition],
        most: Option<u32>,
    ) -> Result<Option<Listing>, Failure> {
        let (users, groups) = (self.config.users()?, self.config.groups()?);
        let conditions = read_conditions(&groups, conditions)?;
        self.as_service(|session| {
            let Some(user) = self.user(session, &users, Key::Id(id))? else {
                return Ok(None);
            };
            let member = match self.config.group_members_are_ids {
                true => user.id,
                false => user.dn,
            };
            let mut found = if !self.config.group_ad_nesting {
                let membership = equals(&self.config.group_member_attribute, &member);
                let filter = all_of(&groups, [conditions.clone(), vec![membership]].concat());
                self.entries(session, &groups, filter, most)?
            } else if self.is_active_directory(session)? {
                let membership = in_chain("member", &member);
                let filter = all_of(&groups, [conditions.clone(), vec![membership]].concat());
                self.entries(session, &groups, filter, most)?
            } else {
                self.groups_above(session, &groups, member, &conditions)?
            };
            found.cut(most);
            Ok(Some(found))
        })
    }

    pub fn members_of_group(
        &self,
        id: &str,
        conditions: &[Condition],
        most: Option<u32>,
    ) -> Result<Option<Listing>, Failure> {
        let (users, groups) = (self.config.users()?, self.config.groups()?);
        let conditions = read_conditions(&users, conditions)?;
        let besides = Besides {
            members: Some(&self.config.group_member_attribute),
            ..Besides::default()
        };
        self.as_service(|session| {
            let Some(group) = self.group(session, &groups, Key::Id(id), besides)? else {
                return Ok(None);
            };
            let mut found = if !self.config.group_ad_nesting {
                self.members(session, &users, group.members, &conditions, most)?
            } else if self.is_active_directory(session)? {
                let membership = in_chain("memberOf", &group.dn);
                let filter = all_of(&users, [conditions.clone(), vec![membership]].concat());
                self.users(session, &users, filter, most)?
            } else {
                let members = self.members_below(session, &groups, group)?;
                self.members(session, &users, members, &conditions, most)?
            };
            found.cut(most);
            self.tell_enabled(session, &mut found.entries)?;
            Ok(Some(found))
        })
    }

    /// The user whose password this is.
    pub fn verify(&self, key: Key<'_>, password: &str) -> Result<Entry, Unproven> {
        let found = self.find_user(key)?;
        let base = self.config.users().map_err(Failure::from)?.base;
        // Who is not there must take as long as who is.
        let nobody = || format!("cn=archstone-nobody,{base}");
        let dn = found.as_ref().map_or_else(nobody, |user| user.dn.clone());
        let bound = self.bind_as(&dn, password)?;
        match (found, bound) {
            (Some(user), Bound::Yes) => Ok(user),
            (Some(_), Bound::No) => Err(Unproven::Rejected("the directory refuses the password")),
            (None, _) => Err(Unproven::Rejected("the directory has no such user")),
        }
    }

    fn bind_as(&self, dn: &str, password: &str) -> Result<Bound, Failure> {
        if let Some(kept) = self.dial.kept(SPARE) {
            let mut session = Session::new(kept);
            match session.bind(dn, password) {
                Err(failure) if failure.lost => {}
                answer => {
                    self.keep(session, SPARE);
                    return answer;
                }
            }
        }
        let mut session = self.connect()?;
        let bound = session.bind(dn, password)?;
        self.keep(session, SPARE);
        Ok(bound)
    }

    /// Works on a connection of the service account: one that was kept, or a new one where that
    /// turns out to be lost.
    fn as_service<R>(
        &self,
        work: impl Fn(&mut Session<D::Transport>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        if let Some(kept) = self.dial.kept(SERVICE) {
            let mut session = Session::new(kept);
            match work(&mut session) {
                Err(failure) if failure.lost => {}
                answer => {
                    self.keep(session, SERVICE);
                    return answer;
                }
            }
        }
        let mut session = self.connect()?;
        if let (Some(user), Some(password)) = (&self.config.user, &self.password)
            && !user.is_empty()
            && !password.is_empty()
            && session.bind(user, password)? == Bound::No
        {
            return Err(Failure::refused(
                "the directory refuses `user` with `password`",
            ));
        }
        let answer = work(&mut session);
        if answer.as_ref().err().is_none_or(|failure| !failure.lost) {
            self.keep(session, SERVICE);
        }
        answer
    }

    fn keep(&self, session: Session<D::Transport>, label: &str) {
        if let Some(transport) = session.into_idle() {
            self.dial.keep(transport, label);
        }
    }

    /// A connection to the first server that answers, encrypted if it should be.
    fn connect(&self) -> Result<Session<D::Transport>, Failure> {
        let mut servers = self.config.servers()?;
        if self.config.randomize_urls {
            for last in (1..servers.len()).rev() {
                let other = self.dial.random() % (last as u64 + 1);
                servers.swap(last, other as usize);
            }
        }
        let mut failure = Failure::lost("no server is named");
        for server in servers {
            let connected = self.dial.open(&server).map(Session::new);
            let ready = connected.and_then(|mut session| {
                if self.config.use_tls && !server.tls {
                    session.start_tls()?;
                }
                Ok(session)
            });
            match ready {
                Ok(session) => return Ok(session),
                Err(error) => {
                    failure = Failure::lost(format!("{}: {}", server.host, error.detail));
                }
            }
        }
        Err(failure)
    }

    fn user(
        &self,
        session: &mut Session<D::Transport>,
        users: &Tree,
        key: Key<'_>,
    ) -> Result<Option<Entry>, Failure> {
        let filter = all_of(users, vec![named(users, key)]);
        let mut found = self.users(session, users, filter, Some(1))?.entries;
        if self.config.emulates_enabled() {
            for user in &mut found {
                user.enabled = self.is_in_enabled_group(session, user)?;
            }
        }
        Ok(found.pop())
    }

    fn group(
        &self,
        session: &mut Session<D::Transport>,
        groups: &Tree,
        key: Key<'_>,
        besides: Besides<'_>,
    ) -> Result<Option<Entry>, Failure> {
        let filter = all_of(groups, vec![named(groups, key)]);
        let search = self.within(groups, filter, groups.attributes(besides), Some(1));
        let mut found = self.read(session, groups, &search, besides)?.entries;
        Ok(found.pop())
    }

    fn users(
        &self,
        session: &mut Session<D::Transport>,
        users: &Tree,
        filter: LdapFilter,
        most: Option<u32>,
    ) -> Result<Listing, Failure> {
        let besides = self.enabled_besides();
        let search = self.within(users, filter, users.attributes(besides), most);
        let mut listing = self.read(session, users, &search, besides)?;
        if self.config.emulates_enabled() {
            let (group, _) = self.config.enabled_group();
            let group = dn::comparable(&group);
            listing
                .entries
                .retain(|user| dn::comparable(&user.dn) != group);
        }
        Ok(listing)
    }

    fn entries(
        &self,
        session: &mut Session<D::Transport>,
        tree: &Tree,
        filter: LdapFilter,
        most: Option<u32>,
    ) -> Result<Listing, Failure> {
        let search = self.within(tree, filter, tree.attributes(Besides::default()), most);
        self.read(session, tree, &search, Besides::default())
    }

    fn read(
        &self,
        session: &mut Session<D::Transport>,
        tree: &Tree,
        search: &Search,
        besides: Besides<'_>,
    ) -> Result<Listing, Failure> {
        let mut entries = Vec::new();
        let says_enabled = |value: Option<&str>| self.config.says_enabled(value);
        let more = session.search(search, &mut |found| {
            entries.extend(tree.read(found, besides, says_enabled));
        })?;
        Ok(Listing { entries, more })
    }

    fn within(
        &self,
        tree: &Tree,
        filter: LdapFilter,
        attributes: Vec<String>,
        most: Option<u32>,
    ) -> Search {
        Search {
            base: tree.base.clone(),
            scope: self.config.scope(),
            aliases: self.config.aliases(),
            filter,
            attributes,
            page_size: self.config.page_size,
            most,
        }
    }

    /// One entry by its name in the directory.
    fn one(&self, dn: &str, filter: LdapFilter, attributes: Vec<String>) -> Search {
        Search {
            base: dn.to_owned(),
            scope: LdapSearchScope::Base,
            aliases: self.config.aliases(),
            filter,
            attributes,
            page_size: 0,
            most: None,
        }
    }

    fn enabled_besides(&self) -> Besides<'_> {
        Besides {
            enabled: self.config.enabled_attribute(),
            members: None,
        }
    }

    fn is_in_enabled_group(
        &self,
        session: &mut Session<D::Transport>,
        user: &Entry,
    ) -> Result<bool, Failure> {
        let (group, attribute) = self.config.enabled_group();
        let filter = equals(attribute, &self.enabled_member(user));
        let mut found = false;
        let search = self.one(&group, filter, vec!["1.1".to_owned()]);
        session.search(&search, &mut |_| found = true)?;
        Ok(found)
    }

    /// What the group of those who are enabled calls a user.
    fn enabled_member(&self, user: &Entry) -> String {
        let ids = self.config.user_enabled_emulation_use_group_config
            && self.config.group_members_are_ids;
        match ids {
            true => user.id.clone(),
            false => user.dn.clone(),
        }
    }

    /// Where membership makes users enabled, says of each whether they are.
    fn tell_enabled(
        &self,
        session: &mut Session<D::Transport>,
        users: &mut [Entry],
    ) -> Result<(), Failure> {
        if !self.config.emulates_enabled() {
            return Ok(());
        }
        let (group, attribute) = self.config.enabled_group();
        let anything = LdapFilter::Present("objectClass".to_owned());
        let search = self.one(&group, anything, vec![attribute.to_owned()]);
        let mut members = HashSet::new();
        session.search(&search, &mut |found| {
            let names = texts(&found.attributes, attribute);
            members.extend(names.iter().map(|name| dn::comparable(name)));
        })?;
        for user in users {
            user.enabled = members.contains(&dn::comparable(&self.enabled_member(user)));
        }
        Ok(())
    }

    fn is_active_directory(&self, session: &mut Session<D::Transport>) -> Result<bool, Failure> {
        let capabilities = "supportedCapabilities";
        let anything = LdapFilter::Present("objectClass".to_owned());
        let search = self.one("", anything, vec![capabilities.to_owned()]);
        let mut is_one = false;
        session.search(&search, &mut |root| {
            let said = texts(&root.attributes, capabilities);
            is_one |= said
                .iter()
                .any(|oid| ACTIVE_DIRECTORY.contains(&oid.as_str()));
        })?;
        Ok(is_one)
    }

    /// The groups that somebody is in, those included that such a group is in.
    fn groups_above(
        &self,
        session: &mut Session<D::Transport>,
        groups: &Tree,
        member: String,
        conditions: &[LdapFilter],
    ) -> Result<Listing, Failure> {
        let attribute = &self.config.group_member_attribute;
        let picky = groups.filter.is_some() || !conditions.is_empty();
        let mut found = Listing::default();
        let mut seen = HashSet::new();
        let mut next = vec![member];
        while !next.is_empty() && seen.len() < MOST_GROUPS {
            let mut above = Vec::new();
            for members in std::mem::take(&mut next).chunks(BATCH) {
                let members = members.iter().map(|member| equals(attribute, member));
                let membership = LdapFilter::Or(members.collect());
                // Groups that are not wanted themselves lead to others that are.
                let class = equals("objectClass", &groups.object_class);
                let through = LdapFilter::And(vec![membership.clone(), class]);
                let through = self.entries(session, groups, through, None)?.entries;
                if picky {
                    let wanted = [conditions.to_vec(), vec![membership]].concat();
                    let wanted = self.entries(session, groups, all_of(groups, wanted), None)?;
                    found.entries.extend(wanted.entries);
                } else {
                    found.entries.extend(through.iter().cloned());
                }
                above.extend(through);
            }
            for group in above {
                if seen.insert(dn::comparable(&group.dn)) {
                    next.push(match self.config.group_members_are_ids {
                        true => group.id,
                        false => group.dn,
                    });
                }
            }
        }
        let mut listed = HashSet::new();
        found
            .entries
            .retain(|group| listed.insert(dn::comparable(&group.dn)));
        Ok(found)
    }

    /// What a group's members are called, those included that are in a group within it.
    fn members_below(
        &self,
        session: &mut Session<D::Transport>,
        groups: &Tree,
        group: Entry,
    ) -> Result<Vec<String>, Failure> {
        let besides = Besides {
            members: Some(&self.config.group_member_attribute),
            ..Besides::default()
        };
        let class = equals("objectClass", &groups.object_class);
        let search = self.within(groups, class, groups.attributes(besides), None);
        let called = |group: &Entry| match self.config.group_members_are_ids {
            true => group.id.clone(),
            false => dn::comparable(&group.dn),
        };
        let mut within: std::collections::HashMap<String, Vec<String>> = self
            .read(session, groups, &search, besides)?
            .entries
            .into_iter()
            .map(|group| (called(&group), group.members))
            .collect();
        within.remove(&called(&group));
        let mut all = Vec::new();
        let mut next = group.members;
        while let Some(member) = next.pop() {
            let name = match self.config.group_members_are_ids {
                true => member.clone(),
                false => dn::comparable(&member),
            };
            match within.remove(&name) {
                Some(members) => next.extend(members),
                None => all.push(member),
            }
        }
        Ok(all)
    }

    /// The users that a group calls these names. Names that stand for no user are passed over, as
    /// in Keystone.
    fn members(
        &self,
        session: &mut Session<D::Transport>,
        users: &Tree,
        mut members: Vec<String>,
        conditions: &[LdapFilter],
        most: Option<u32>,
    ) -> Result<Listing, Failure> {
        let mut seen = HashSet::new();
        members.retain(|member| seen.insert(member.clone()));
        let (mut ids, mut dns) = (Vec::new(), Vec::new());
        for member in members {
            if self.config.group_members_are_ids {
                ids.push(member);
            } else if dn::is_within(&member, &users.base) {
                match named_by(&member, &users.id_attribute) {
                    Some(id) => ids.push(id),
                    None => dns.push(member),
                }
            }
        }
        let enough =
            |found: &Listing| most.is_some_and(|most| found.entries.len() as u64 > u64::from(most));
        let mut found = Listing::default();
        for ids in ids.chunks(BATCH) {
            if enough(&found) {
                return Ok(found);
            }
            let named = ids.iter().map(|id| equals(&users.id_attribute, id));
            let wanted = [conditions.to_vec(), vec![LdapFilter::Or(named.collect())]].concat();
            let wanted = self.users(session, users, all_of(users, wanted), None)?;
            found.entries.extend(wanted.entries);
        }
        let besides = self.enabled_besides();
        for dn in dns {
            if enough(&found) {
                return Ok(found);
            }
            let filter = all_of(users, conditions.to_vec());
            let search = self.one(&dn, filter, users.attributes(besides));
            found
                .entries
                .extend(self.read(session, users, &search, besides)?.entries);
        }
        let mut listed = HashSet::new();
        found.entries.retain(|user| listed.insert(user.id.clone()));
        Ok(found)
    }
}

impl Listing {
    fn cut(&mut self, most: Option<u32>) {
        if let Some(most) = most.and_then(|most| usize::try_from(most).ok())
            && self.entries.len() > most
        {
            self.entries.truncate(most);
            self.more = true;
        }
    }
}

fn equals(attribute: &str, value: &str) -> LdapFilter {
    LdapFilter::Equality(attribute.to_owned(), value.to_owned())
}

fn in_chain(attribute: &str, dn: &str) -> LdapFilter {
    LdapFilter::Extensible(LdapMatchingRuleAssertion {
        matching_rule: Some(IN_CHAIN.to_owned()),
        type_: Some(attribute.to_owned()),
        match_value: dn.to_owned(),
        dn_attributes: false,
    })
}

fn named(tree: &Tree, key: Key<'_>) -> LdapFilter {
    match key {
        Key::Id(id) => equals(&tree.id_attribute, id),
        Key::Name(name) => equals(&tree.name_attribute, name),
    }
}

/// Entries of this tree for which all of this holds.
fn all_of(tree: &Tree, mut conditions: Vec<LdapFilter>) -> LdapFilter {
    conditions.extend(tree.filter.clone());
    conditions.push(equals("objectClass", &tree.object_class));
    LdapFilter::And(conditions)
}

fn listed(tree: &Tree, conditions: &[Condition]) -> Result<LdapFilter, Failure> {
    let mut conditions = read_conditions(tree, conditions)?;
    conditions.push(LdapFilter::Present(tree.id_attribute.clone()));
    Ok(all_of(tree, conditions))
}

fn read_conditions(tree: &Tree, conditions: &[Condition]) -> Result<Vec<LdapFilter>, Failure> {
    let mut all = Vec::new();
    for Condition {
        attribute,
        comparison,
        value,
    } in conditions
    {
        let attribute = match attribute.as_str() {
            "name" => &tree.name_attribute,
            other => {
                let shown = tree.shown.iter().find(|(name, _)| name == other);
                let unknown = || Failure::refused(format!("`{other}` is no attribute here"));
                &shown.ok_or_else(unknown)?.1
            }
        };
        if *comparison == Comparison::Equals {
            all.push(equals(attribute, value));
            continue;
        }
        if value.is_empty() {
            continue; // every text contains it
        }
        let mut parts = LdapSubstringFilter::default();
        match comparison {
            Comparison::StartsWith => parts.initial = Some(value.clone()),
            Comparison::EndsWith => parts.final_ = Some(value.clone()),
            _ => parts.any.push(value.clone()),
        }
        all.push(LdapFilter::Substring(attribute.clone(), parts));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
