//! What the different kinds of clients do.

use std::time::Duration;

use crate::script::Style;

/// The kinds of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sends a line now and then, and leaves.
    Talker,
    /// Sends as many lines as it can, and leaves.
    Flooder,
    /// Sends noise and over-long lines, and leaves.
    Junk,
    /// Sends one very long line without LF, and leaves.
    Endless,
    /// Sends one byte at a time, and leaves.
    Trickler,
    /// Sends nothing, and leaves.
    Silent,
    /// Reads slowly.
    Slow,
    /// Does not read for a long time.
    Staller,
    /// Sends lines, and resets the connection while it does.
    Resetter,
    /// Resets the connection as soon as it is open.
    Ghost,
    /// Connects after all others have gone.
    Last,
}

impl Kind {
    /// Any kind but `Last`. Only one client in 100 delays the operator.
    pub(crate) fn random(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(..200) {
            0..60 => Self::Talker,
            60..80 => Self::Flooder,
            80..105 => Self::Junk,
            105..110 => Self::Endless,
            110..120 => Self::Trickler,
            120..145 => Self::Silent,
            145..150 => Self::Slow,
            150..152 => Self::Staller,
            152..180 => Self::Resetter,
            _ => Self::Ghost,
        }
    }

    /// Whether the server may close its session because it does not read.
    pub(crate) fn may_stall(self) -> bool {
        matches!(self, Self::Slow | Self::Staller)
    }
}

/// What one client will do.
pub(crate) struct Plan {
    pub(crate) style: Style,
    pub(crate) lines: u64,
    /// The most lines that it sends in one write.
    pub(crate) chunk: u64,
    /// The longest pause between writes, in milliseconds.
    pub(crate) pause: u64,
    /// Whether it sends one byte at a time.
    pub(crate) trickle: bool,
    /// Whether it starts to send before it is admitted.
    pub(crate) eager: bool,
    /// Whether it sends its last line without LF.
    pub(crate) unfinished: bool,
    /// Whether its receive buffer is tiny.
    pub(crate) small_buffer: bool,
    /// How long it stays after it has sent everything.
    pub(crate) stay: Duration,
    /// When it resets the connection.
    pub(crate) reset: Option<Duration>,
}

impl Plan {
    pub(crate) fn new(kind: Kind, rng: &mut fastrand::Rng) -> Self {
        let plan = Self {
            style: Style::Tidy,
            lines: 0,
            chunk: 20,
            pause: 50,
            trickle: false,
            eager: rng.u8(..4) == 0,
            unfinished: rng.bool(),
            small_buffer: false,
            stay: Duration::from_millis(rng.u64(..1000)),
            reset: None,
        };
        let some = rng.u64(..200);
        match kind {
            Kind::Talker | Kind::Slow => Self { lines: some, ..plan },
            Kind::Flooder => Self { lines: 400 * some, chunk: 500, pause: 0, ..plan },
            Kind::Junk => Self { style: Style::Junk, lines: some, ..plan },
            Kind::Endless => {
                let style = Style::Endless(rng.usize(10_000..4_000_000));
                Self { style, lines: 1, unfinished: true, ..plan }
            }
            Kind::Trickler => Self { lines: some / 20, trickle: true, ..plan },
            Kind::Silent => Self { stay: 3 * plan.stay, ..plan },
            Kind::Staller => Self { lines: some, small_buffer: rng.u8(..4) > 0, ..plan },
            Kind::Resetter => {
                let reset = Some(Duration::from_millis(rng.u64(..1000)));
                let pause = if rng.bool() { 0 } else { plan.pause };
                Self { lines: u64::MAX, chunk: 200, pause, unfinished: false, reset, ..plan }
            }
            Kind::Ghost => Self { reset: Some(Duration::ZERO), eager: rng.bool(), ..plan },
            Kind::Last => {
                let stay = Duration::from_secs(2);
                Self { lines: 10, eager: false, stay, ..plan }
            }
        }
    }
}
