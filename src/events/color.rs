//! The colors of the transcript.

use std::fmt::{self, Display, Formatter};

use super::{SessionInfo, render::push_fmt};

/// Colors for clients, from xterm's palette of 256. Each has a contrast of at least 3.4 to both black
/// and white, which is what WCAG 2 asks of large text (3), and is not close to [`PROBLEM`].
const CLIENTS: [u8; 8] = [31, 130, 28, 133, 63, 100, 30, 166];

/// The color of problems, a red.
const PROBLEM: u8 = 160;

/// The escape sequence that ends a color.
const END: &str = "\x1b[39m";

/// Which outputs have colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colors {
    /// Whether stdout has colors.
    pub out: bool,
    /// Whether stderr has colors.
    pub err: bool,
}

impl Colors {
    /// A client's prefix, `[…]`. The text after it is never colored.
    pub(crate) fn prefix(self, session: &SessionInfo) -> Prefix<'_> {
        Prefix { session, colored: self.out }
    }

    /// Appends one line about a problem.
    pub(crate) fn push_problem(
        self,
        program: &str,
        err: &mut Vec<u8>,
        problem: fmt::Arguments<'_>,
    ) {
        match self.err {
            true => {
                push_fmt(err, format_args!("\x1b[38;5;{PROBLEM}m{program}: {problem}{END}\n"));
            }
            false => push_fmt(err, format_args!("{program}: {problem}\n")),
        }
    }
}

/// A client's prefix, as [`Colors::prefix`] returns it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefix<'a> {
    session: &'a SessionInfo,
    colored: bool,
}

impl Display for Prefix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let session = self.session;
        if !self.colored {
            return write!(f, "[{session}]");
        }
        // Clients that are connected at the same time mostly have consecutive numbers.
        let colors = CLIENTS.into_iter().cycle();
        let nth = session.id.wrapping_sub(1) % CLIENTS.len() as u64;
        let color = colors.zip(0..).find_map(|(color, at)| (at == nth).then_some(color));
        write!(f, "\x1b[38;5;{}m[{session}]{END}", color.unwrap_or(PROBLEM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative luminance of one of the 216 colors of xterm's cube (WCAG 2.2).
    fn luminance(color: u8) -> f64 {
        let steps = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0];
        let cube = usize::from(color - 16);
        let linear = |step: usize| {
            let value = steps[step] / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055_f64).powf(2.4) }
        };
        0.2126 * linear(cube / 36) + 0.7152 * linear(cube / 6 % 6) + 0.0722 * linear(cube % 6)
    }

    #[test]
    fn each_color_is_readable_on_black_and_on_white() {
        for color in CLIENTS.into_iter().chain([PROBLEM]) {
            let luminance = luminance(color);
            assert!((luminance + 0.05) / 0.05 > 3.4, "{color} on black");
            assert!(1.05 / (luminance + 0.05) > 3.4, "{color} on white");
        }
    }

    #[test]
    fn a_session_keeps_its_color_and_the_next_one_has_another() {
        let colors = Colors { out: true, err: false };
        let mut seen = Vec::new();
        for id in 1..=8 {
            let peer = "127.0.0.1:1".parse().unwrap();
            let mut session = SessionInfo { id, name: None, peer };
            let prefix = colors.prefix(&session).to_string();
            let (color, _) = prefix.split_once('[').unwrap();
            assert!(prefix.ends_with("[127.0.0.1:1]\x1b[39m"));
            assert!(!seen.contains(&prefix));
            session.name = Some("anna".into());
            assert!(colors.prefix(&session).to_string().starts_with(color));
            seen.push(prefix);
        }
    }
}
