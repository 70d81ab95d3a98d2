//! The list of sessions that `/who` prints.

use std::{fmt::Write, time::SystemTime};

use super::gauges::Reading;
use crate::{
    address::Zoned,
    events::{SessionInfo, time::rfc3339_seconds},
};

/// A session as it is listed.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) session: SessionInfo,
    /// When it was connected.
    pub(crate) since: SystemTime,
    pub(crate) reading: Reading,
}

/// One line for each session, each starting with `> `: number, name, address, connected since, lines
/// received and sent, bytes queued, state.
pub(crate) fn who(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "> Nobody is connected\n".to_owned();
    }
    let cells: Vec<[String; 7]> = rows.iter().map(cells).collect();
    let mut widths = [0; 7];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &cells {
        let mut line = String::from(">");
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string does not fail.
            let _ = write!(line, " {cell:width$} ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> [String; 7] {
    let Row { session, since, reading } = row;
    [
        session.id.to_string(),
        session.name.as_deref().unwrap_or("-").to_owned(),
        Zoned(session.peer).to_string(),
        format!("since {}", rfc3339_seconds(*since)),
        format!("{} in, {} out", reading.lines_in, reading.lines_out),
        format!("{} B queued", reading.queued),
        state(reading),
    ]
}

/// `ok`: nothing is queued. `waiting`: lines are queued. `stalled`: a line has no room in the outbox.
pub(crate) fn state(reading: &Reading) -> String {
    match reading.stalled {
        Some(time) => format!("stalled {} s", time.as_secs()),
        None if reading.queued > 0 => "waiting".to_owned(),
        None => "ok".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn each_session_is_one_line_with_its_state() {
        let row = |id, name: Option<&str>, reading| Row {
            session: SessionInfo {
                id,
                name: name.map(Into::into),
                peer: format!("127.0.0.1:{id}").parse().unwrap(),
            },
            since: UNIX_EPOCH + Duration::from_secs(1_767_323_045),
            reading,
        };
        let waiting = Reading { lines_in: 12, queued: 500, ..Reading::default() };
        let stalled = Reading { stalled: Some(Duration::from_millis(3900)), ..waiting };
        let rows = [
            row(1, None, Reading::default()),
            row(2, Some("scope"), waiting),
            row(13, None, stalled),
        ];
        assert_eq!(
            who(&rows),
            "> 1   -      127.0.0.1:1   since 2026-01-02T03:04:05Z  0 in, 0 out   0 B queued    ok\n\
             > 2   scope  127.0.0.1:2   since 2026-01-02T03:04:05Z  12 in, 0 out  500 B queued  waiting\n\
             > 13  -      127.0.0.1:13  since 2026-01-02T03:04:05Z  12 in, 0 out  500 B queued  stalled 3 s\n"
        );
    }

    #[test]
    fn an_empty_hub_says_so() {
        assert_eq!(who(&[]), "> Nobody is connected\n");
    }
}
