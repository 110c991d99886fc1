//! A watcher: it goes on behind what it saw last, on whatever server there is, until it sees the end.

use std::io::{self, BufRead as _, BufReader};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::Shared;
use super::model::{self, Event, Kind, Selection};
use super::random::Random;
use crate::http::Client;
use crate::wait::{BOUND, pause};

/// What one watcher saw.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) selection: Selection,
    pub(crate) segments: Vec<Segment>,
}

/// What came over one connection.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// The revision behind which it was asked to begin.
    pub(crate) from: u64,
    pub(crate) seen: Vec<Seen>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// And when it was there.
    Event(Event, Duration),
    Bookmark(u64),
    /// The code of an error that ends the watch.
    Error(u64),
}

impl Stream {
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        let seen = self.segments.iter().flat_map(|segment| &segment.seen);
        seen.filter_map(|seen| if let Seen::Event(event, _) = seen { Some(event) } else { None })
    }

    /// Behind what to go on.
    pub(crate) fn position(&self) -> u64 {
        self.segments.last().map_or(0, Segment::position)
    }
}

impl Segment {
    pub(crate) fn position(&self) -> u64 {
        let last = self.seen.iter().rev().find_map(|seen| match seen {
            Seen::Event(event, _) => Some(event.version.revision),
            Seen::Bookmark(revision) => Some(*revision),
            Seen::Error(_) => None,
        });
        last.unwrap_or(self.from)
    }
}

/// Watches from behind `from` until an object has a value that begins with `end`.
pub(crate) fn run(shared: &Shared, random: Random, selection: Selection, from: u64, end: &str) -> Stream {
    let stream = Stream { selection, segments: Vec::new() };
    let mut watcher = Watcher { shared, random, stream, end, refused_since: None };
    let mut from = from;
    while let Some((_, client)) = shared.servers.pick(&mut watcher.random, || shared.has_failed()) {
        let segment = watcher.segment(&client, from);
        from = segment.position();
        let ended = segment.seen.last().is_some_and(|last| watcher.is_end(last));
        watcher.stream.segments.push(segment);
        if ended || shared.has_failed() {
            break;
        }
        pause();
    }
    watcher.stream
}

struct Watcher<'a> {
    shared: &'a Shared,
    random: Random,
    stream: Stream,
    end: &'a str,
    refused_since: Option<Instant>,
}

impl Watcher<'_> {
    /// What comes over one connection, however that ends.
    fn segment(&mut self, client: &Client, from: u64) -> Segment {
        let mut segment = Segment { from, seen: Vec::new() };
        // A cut is what this is about; a server that is never reached again is not.
        let read = self.read(client, &mut segment);
        match (read, segment.seen.is_empty()) {
            (Ok(()), _) | (_, false) => self.refused_since = None,
            (Err(fault), true) => {
                let since = *self.refused_since.get_or_insert_with(Instant::now);
                assert!(since.elapsed() < BOUND, "no watch from {from} in {}s: {fault}", BOUND.as_secs());
            }
        }
        segment
    }

    fn read(&mut self, client: &Client, segment: &mut Segment) -> io::Result<()> {
        let bookmarks = if self.random.chance(50) { "&allowWatchBookmarks=true" } else { "" };
        let path = format!(
            "{}&watch=true&resourceVersion={}{bookmarks}",
            self.stream.selection.path(),
            segment.from
        );
        let request = client.request("GET", path);
        let mut connection = request.connect()?;
        connection.send(&request.bytes())?;
        let head = connection.head()?;
        if head.code != 200 {
            return self.refused(segment, head.code.into());
        }
        let mut lines = BufReader::new(connection.body("GET", &head)?);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Ok(());
            }
            // A line that was cut is no event.
            let Ok(event) = serde_json::from_str::<Value>(&line) else { return Ok(()) };
            let Some(seen) = self.seen(&event) else { continue };
            let is_last = matches!(seen, Seen::Error(_)) || self.is_end(&seen);
            match seen {
                Seen::Error(code) => return self.refused(segment, code),
                seen => segment.seen.push(seen),
            }
            if is_last || self.shared.has_failed() {
                return Ok(());
            }
        }
    }

    /// Only what the server has forgotten is a fault of the history; for everything else a client comes back.
    fn refused(&self, segment: &mut Segment, code: u64) -> io::Result<()> {
        if code == 410 {
            segment.seen.push(Seen::Error(code));
        }
        Err(io::Error::other(format!("refused with {code}")))
    }

    fn seen(&self, event: &Value) -> Option<Seen> {
        let object = &event["object"];
        let kind = match event["type"].as_str()? {
            "ADDED" => Kind::Added,
            "MODIFIED" => Kind::Modified,
            "DELETED" => Kind::Deleted,
            "BOOKMARK" => {
                return Some(Seen::Bookmark(object["metadata"]["resourceVersion"].as_str()?.parse().ok()?));
            }
            _ => return Some(Seen::Error(object["code"].as_u64().unwrap_or_default())),
        };
        let (key, version) = model::read(object)?;
        Some(Seen::Event(Event { kind, key, version }, self.shared.clock.elapsed()))
    }

    fn is_end(&self, seen: &Seen) -> bool {
        match seen {
            Seen::Event(event, _) => event.version.value.starts_with(self.end),
            Seen::Bookmark(_) => false,
            Seen::Error(_) => true,
        }
    }
}
