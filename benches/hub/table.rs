//! Prints the tables: Markdown, ready for a README, with the goals beside the figures.

use crate::contender::Kind;
use crate::rounds::Measured;
use crate::rows::{Bound, Figure, Goal, Row};

pub(crate) const WHAT: usize = 60;
pub(crate) const CELL: usize = 10;
const RATIO: usize = 18;

/// Prints the column titles. The first contender is compared with each of the others.
pub(crate) fn print_head(contenders: &[Kind]) {
    let mut titles = vec![(String::from("work"), WHAT)];
    titles.extend(contenders.iter().map(|kind| (kind.to_string(), CELL)));
    if let [subject, others @ ..] = contenders {
        titles.extend(others.iter().map(|other| (format!("{subject} / {other}"), RATIO)));
    }
    print_titles(&titles);
}

/// Prints column titles of these widths.
pub(crate) fn print_titles(titles: &[(String, usize)]) {
    let titles: Vec<_> = titles.iter().map(|(title, width)| format!("{title:width$}")).collect();
    let rules: Vec<_> = titles.iter().map(|title| "-".repeat(title.chars().count())).collect();
    println!("\n| {} |\n|-{}-|", titles.join(" | "), rules.join("-|-"));
}

/// Prints a line for each figure of the row, and one for the CPU share of the generators.
pub(crate) fn print_row(row: &Row, contenders: &[Kind], measured: &Measured) {
    for (at, figure) in row.figures.iter().enumerate() {
        let mut cells = vec![format!("{:WHAT$}", what(row, figure, contenders, measured, at))];
        for &kind in contenders {
            let value = measured.median(kind, at);
            let decimals = figure.decimals;
            cells.push(cell(value.map(|value| format!("{value:.decimals$}")), CELL));
        }
        if let [subject, others @ ..] = contenders {
            for &other in others {
                let goal = figure.goals.iter().find(|goal| goal.against == Some(other));
                // A figure whose goal is absolute is not compared.
                let compared = figure.goals.iter().all(|goal| goal.against.is_some());
                let ratio = compared.then(|| measured.ratio(*subject, other, at)).flatten();
                cells.push(cell(ratio.map(|ratio| ratio_text(ratio, goal)), RATIO));
            }
        }
        println!("| {} |", cells.join(" | "));
    }
    print_load(contenders, measured);
}

/// The title of a line, with the goal if that is absolute.
fn what(row: &Row, figure: &Figure, contenders: &[Kind], measured: &Measured, at: usize) -> String {
    let mut what = format!("{}: {}", row.work, figure.what);
    let goal = figure.goals.iter().find(|goal| goal.against.is_none());
    if let (Some(goal), [subject, ..]) = (goal, contenders)
        && let Some(value) = measured.median(*subject, at)
    {
        what = format!("{what} ({} {})", goal.bound, verdict(goal.bound, value));
    }
    what
}

fn ratio_text(ratio: f64, goal: Option<&Goal>) -> String {
    match goal {
        None => format!("{ratio:.2}"),
        Some(goal) => format!("{ratio:.2} ({} {})", goal.bound, verdict(goal.bound, ratio)),
    }
}

fn verdict(bound: Bound, value: f64) -> &'static str {
    if bound.allows(value) { "✓" } else { "✗" }
}

/// A cell of this width, with the text on its right; a dash for no text.
pub(crate) fn cell(text: Option<String>, width: usize) -> String {
    format!("{:>width$}", text.unwrap_or_else(|| String::from("–")))
}

fn print_load(contenders: &[Kind], measured: &Measured) {
    let mut cells = load_cells(contenders, measured);
    cells.extend(contenders.iter().skip(1).map(|_| " ".repeat(RATIO)));
    println!("| {} |", cells.join(" | "));
}

/// A title, and the CPU shares of the generators for each contender.
pub(crate) fn load_cells(contenders: &[Kind], measured: &Measured) -> Vec<String> {
    let mut cells = vec![format!("{:WHAT$}", "  CPU of the generators, sending + receiving, %")];
    for &kind in contenders {
        let percent = |share: f64| format!("{:.0}", share * 100.0);
        let load = measured.load(kind);
        let text =
            load.map(|load| format!("{} + {}", percent(load.sending), percent(load.receiving)));
        cells.push(cell(text, CELL));
    }
    cells
}

/// Prints the column titles of the growth table.
pub(crate) fn print_growth_head(contenders: &[Kind]) {
    let mut titles = vec![String::from("clients")];
    titles.extend(contenders.iter().map(|kind| format!("{kind}: CPU per delivery, ns")));
    titles.push(String::from("ratio"));
    titles.extend(contenders.iter().map(|kind| format!("{kind}: bytes per session")));
    println!("\n| {} |\n|{}", titles.join(" | "), "---:|".repeat(titles.len()));
}

/// Prints a line of the growth table: for each contender its CPU per delivery in ns and its bytes per
/// session, and the ratio of the first two CPU figures.
pub(crate) fn print_growth_row(
    clients: usize,
    cpu: &[Option<f64>],
    ratio: Option<f64>,
    bytes: &[Option<f64>],
) {
    let text = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| String::from("–"), |value| format!("{value:.decimals$}"))
    };
    let mut cells = vec![clients.to_string()];
    cells.extend(cpu.iter().map(|&value| text(value, 1)));
    cells.push(text(ratio, 2));
    cells.extend(bytes.iter().map(|&value| text(value, 0)));
    println!("| {} |", cells.join(" | "));
}
