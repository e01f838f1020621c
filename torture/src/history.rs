//! The history check: everything that was acknowledged is there, once, in one order, and is counted right.

use crate::community::Community;
use crate::http::{Client, Request};
use crate::senders::{Sender, Senders, parse, text};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Problems that are told one by one; further ones are only counted.
const TOLD: usize = 20;

/// What was looked at.
#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) messages: usize,
    pub(crate) threads: usize,
    pub(crate) unread_counts: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
}

/// A message as one member sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) sender_id: i64,
    pub(crate) text: String,
}

/// Reads `reader`'s thread with the user `partner`, oldest message first; a thread that is not there is empty.
pub(crate) fn read_thread(client: &mut Client, token: &str, partner: i64) -> Result<(Vec<Row>, i64)> {
    let mut rows: Vec<Row> = Vec::new();
    let mut next = Some(format!("/api/v2/pm/?user={partner}&limit=100"));
    let mut count = 0;
    while let Some(path) = next {
        let answer = client.ask(&Request::get(&*path, token))?;
        if answer.status == 404 && rows.is_empty() {
            break;
        }
        let page = answer.json()?;
        count = page["count"].as_i64().context("a count")?;
        let mut older = page["results"].as_array().context("results")?.iter().map(row).collect::<Result<Vec<_>>>()?;
        older.append(&mut rows);
        rows = older;
        next = page["next"].as_str().map(path_of);
    }
    Ok((rows, count))
}

fn row(value: &Value) -> Result<Row> {
    Ok(Row {
        id: value["id"].as_i64().context("an id")?,
        sender_id: value["sender_id"].as_i64().context("a sender")?,
        text: value["message"].as_str().context("a text")?.to_owned(),
    })
}

/// The address without scheme and host.
pub(crate) fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or_else(|| "/".to_owned(), |at| rest[at..].to_owned())
}

/// Each partner of a member's inbox with the number of unread messages.
pub(crate) fn read_inbox(client: &mut Client, token: &str, own: i64) -> Result<Vec<(i64, i64)>> {
    let mut rows = Vec::new();
    let mut next = Some("/api/v2/pm/?limit=100".to_owned());
    while let Some(path) = next {
        let page = client.json(&Request::get(&*path, token))?;
        for row in page["results"].as_array().context("results")? {
            let (one, other) = (row["sender"]["id"].as_i64(), row["receiver"]["id"].as_i64());
            let partner = if one == Some(own) { other } else { one }.context("a partner")?;
            rows.push((partner, row["unread_count"].as_i64().context("an unread count")?));
        }
        next = page["next"].as_str().map(path_of);
    }
    Ok(rows)
}

impl Senders<'_> {
    /// Compares all that the members can read with what was acknowledged; adds to `problems` what differs.
    pub(crate) fn check(
        &self,
        community: &Community,
        address: SocketAddr,
        problems: &mut Vec<String>,
    ) -> Result<Checked> {
        let mut client = Client::new(address);
        let mut unread = BTreeMap::new();
        for (index, member) in community.members.iter().enumerate().filter(|(index, _)| Sender::is_silent(*index)) {
            for (partner, count) in read_inbox(&mut client, &member.token, member.id)? {
                unread.insert((index, community.index(partner).context("a stranger in an inbox")?), count);
            }
        }
        self.compare(community, &mut client, Some(&unread), problems)
    }

    /// The same through another server of the same database, without what is unread: reading it once has changed that.
    pub(crate) fn check_again(
        &self,
        community: &Community,
        address: SocketAddr,
        problems: &mut Vec<String>,
    ) -> Result<Checked> {
        self.compare(community, &mut Client::new(address), None, problems)
    }

    fn compare(
        &self,
        community: &Community,
        client: &mut Client,
        unread: Option<&Unread>,
        problems: &mut Vec<String>,
    ) -> Result<Checked> {
        let mut check = Check { senders: self, community, problems: Vec::new(), checked: Checked::default() };
        for pair in self.pairs() {
            check.thread(client, pair, unread)?;
        }
        let found = check.problems.len();
        problems.extend(check.problems.into_iter().take(TOLD));
        if found > TOLD {
            problems.push(format!("and {} further differences", found - TOLD));
        }
        Ok(check.checked)
    }

    fn pairs(&self) -> BTreeSet<(usize, usize)> {
        let both = |sender: usize, to: usize| (sender.min(to), sender.max(to));
        let sends = self.senders.iter().flat_map(|sender| sender.sent.iter().map(|sent| (sender.member, sent)));
        sends.flat_map(|(sender, sent)| sent.recipients.iter().map(move |to| both(sender, *to))).collect()
    }
}

/// What the inbox says is unread, by reader and partner.
type Unread = BTreeMap<(usize, usize), i64>;

struct Check<'c> {
    senders: &'c Senders<'c>,
    community: &'c Community,
    problems: Vec<String>,
    checked: Checked,
}

impl Check<'_> {
    fn thread(&mut self, client: &mut Client, (one, other): (usize, usize), unread: Option<&Unread>) -> Result<()> {
        let members = &self.community.members;
        let (rows, count) = read_thread(client, &members[one].token, members[other].id)?;
        let (same, _) = read_thread(client, &members[other].token, members[one].id)?;
        let name = format!("thread {one}-{other}");
        if rows != same {
            self.problems.push(format!("{name} is not the same for its two members"));
        }
        if count != i64::try_from(rows.len())? {
            self.problems.push(format!("{name} counts {count} and shows {}", rows.len()));
        }
        self.rows(&name, &rows, (one, other));
        for (reader, partner) in [(one, other), (other, one)] {
            self.acknowledged(&name, &rows, (reader, partner));
            if let Some(unread) = unread.filter(|_| Sender::is_silent(reader)) {
                let own = members[reader].id;
                let expected = rows.iter().rev().take_while(|row| row.sender_id != own).count();
                let found = unread.get(&(reader, partner)).copied();
                self.checked.unread_counts += 1;
                if found.unwrap_or(0) != i64::try_from(expected)? {
                    self.problems.push(format!("{name}: {expected} unread for {reader}, and the inbox says {found:?}"));
                }
            }
        }
        self.checked.threads += 1;
        self.checked.messages += rows.len();
        Ok(())
    }

    /// Every row was sent by one of the two, whole, once, and each sender's in order.
    fn rows(&mut self, name: &str, rows: &[Row], pair: (usize, usize)) {
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for row in rows {
            let Some((sender, number)) = parse(&row.text).filter(|(sender, _)| *sender == pair.0 || *sender == pair.1)
            else {
                self.problems.push(format!("{name} shows a text that nobody sent"));
                continue;
            };
            let to = if sender == pair.0 { pair.1 } else { pair.0 };
            let sent = self.senders.senders.get(sender).and_then(|sender| sender.sent.get(number));
            let known = sent.is_some_and(|sent| sent.recipients.contains(&to));
            if !known || row.text != text(sender, number) || self.community.index(row.sender_id) != Some(sender) {
                self.problems.push(format!("{name} shows message {} otherwise than it was sent", row.id));
            }
            match last.insert(sender, number) {
                Some(before) if before == number => {
                    self.checked.doubled += 1;
                    self.problems.push(format!("{name} shows send {number} of {sender} twice"));
                }
                Some(before) if before > number => {
                    self.problems.push(format!("{name} shows sends of {sender} in another order"));
                }
                _ => {}
            }
            if !ids.insert(row.id) {
                self.problems.push(format!("{name} shows message {} twice", row.id));
            }
        }
    }

    /// Everything acknowledged from `sender` to `to` is among the rows, under the id of the acknowledgement.
    fn acknowledged(&mut self, name: &str, rows: &[Row], (sender, to): (usize, usize)) {
        let by_id: BTreeMap<i64, &Row> = rows.iter().map(|row| (row.id, row)).collect();
        for (number, sent) in self.senders.senders[sender].sent.iter().enumerate() {
            let Some(ids) = &sent.ids else { continue };
            let Some(place) = sent.recipients.iter().position(|recipient| *recipient == to) else { continue };
            if by_id.get(&ids[place]).and_then(|row| parse(&row.text)) != Some((sender, number)) {
                self.checked.lost += 1;
                self.problems.push(format!("{name} has lost send {number} of {sender}, which was acknowledged"));
            }
        }
    }
}
