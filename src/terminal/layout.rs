//! How wide characters are, and where rows end.
//!
//! Terminals disagree about the width of characters of several code points: an emoji with a skin tone takes
//! two columns on some and four on others. So it is unknown where a terminal wraps a row that contains one.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The most columns that the cluster takes. Terminals that do not know a sequence, such as that of a
/// family emoji, show its characters one by one.
pub(super) fn max_width(cluster: &str) -> usize {
    cluster.chars().map(max_char_width).sum::<usize>().max(cluster.width())
}

/// The most columns that a text in one row takes.
pub(super) fn max_text_width(text: &str) -> usize {
    text.graphemes(true).map(max_width).sum()
}

fn max_char_width(c: char) -> usize {
    if is_regional_indicator(c) { 2 } else { c.width().unwrap_or(1) }
}

/// Two of these are a flag. Alone, or on a terminal that knows no flags, they take one column or two.
fn is_regional_indicator(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

/// Whether all terminals agree about the cluster's width.
fn is_certain(cluster: &str) -> bool {
    !cluster.contains(is_regional_indicator) && max_width(cluster) == min_width(cluster)
}

fn min_width(cluster: &str) -> usize {
    let characters: usize = cluster.chars().map(|c| c.width().unwrap_or(1)).sum();
    characters.min(cluster.width())
}

/// Lays out text in rows. The terminal wraps most rows, so that it can wrap them again when its window
/// changes. A row that contains a cluster of uncertain width ends with a line break of ours instead, where
/// the terminal with the widest reading would have to wrap it.
#[derive(Debug)]
pub(super) struct Layout {
    columns: usize,
    text: String,
    /// The column of the cursor, if clusters are as wide as possible.
    column: usize,
    /// Whether the row contains a cluster of uncertain width.
    uncertain: bool,
}

impl Layout {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, text: String::new(), column: 0, uncertain: false }
    }

    /// Appends text.
    pub(super) fn push(&mut self, text: &str) {
        for cluster in text.graphemes(true) {
            let width = max_width(cluster);
            if cluster == "\n" {
                self.end_row();
            } else if width <= self.columns {
                self.push_cluster(cluster, width, is_certain(cluster));
            } else {
                // A terminal would have to divide the cluster; it is unknown where.
                for c in cluster.chars() {
                    self.push_cluster(c.encode_utf8(&mut [0; 4]), max_char_width(c), false);
                }
            }
        }
    }

    fn push_cluster(&mut self, cluster: &str, width: usize, certain: bool) {
        if self.column + width > self.columns {
            let fits_by_a_narrow_reading = !certain && self.column < self.columns;
            if self.uncertain || fits_by_a_narrow_reading {
                self.end_row();
            }
            self.column = 0;
        }
        self.column += width;
        self.uncertain |= !certain;
        self.text.push_str(cluster);
        if self.uncertain && self.column >= self.columns {
            self.end_row();
        }
    }

    fn end_row(&mut self) {
        self.text.push('\n');
        self.column = 0;
        self.uncertain = false;
    }

    /// The text so far, with the line breaks.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// The row and the column of the cursor after a text that has been laid out and begins in the first
/// column.
pub(super) fn cursor_after(columns: usize, text: &str) -> (usize, usize) {
    let (mut row, mut column) = (0, 0);
    for cluster in text.graphemes(true) {
        if cluster == "\n" {
            (row, column) = (row + 1, 0);
            continue;
        }
        let width = max_width(cluster);
        if column + width <= columns {
            column += width;
        } else {
            (row, column) = (row + 1, width);
        }
    }
    if column >= columns { (row + 1, 0) } else { (row, column) }
}
