//! A plot of a few lines on logarithmic axes, written as SVG text.

use std::fmt::Write;

use crate::contender::Kind;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 50.0;

/// The lines' colours and dashes: told apart without colour, too.
const STYLES: [(&str, &str); 3] = [("#1f6feb", ""), ("#777777", "6 4"), ("#c2410c", "2 3")];

/// One contender's figures by number of clients.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(usize, f64)>,
}

impl Series {
    pub(crate) fn of_each(contenders: &[Kind]) -> Vec<Self> {
        let series = contenders.iter().map(|kind| Self { name: kind.to_string(), points: vec![] });
        series.collect()
    }

    /// A figure below one, such as the memory of a session that fitted into what was there, has no
    /// place on a logarithmic axis and is left out.
    pub(crate) fn push(&mut self, clients: usize, value: Option<f64>) {
        self.points.extend(value.filter(|value| *value >= 1.0).map(|value| (clients, value)));
    }

    pub(crate) fn at(&self, clients: usize) -> Option<f64> {
        self.points.iter().find(|(at, _)| *at == clients).map(|(_, value)| *value)
    }
}

pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) series: Vec<Series>,
}

/// The panels side by side, as an SVG document.
pub(crate) fn draw(x_title: &str, panels: &[Panel]) -> String {
    let width = WIDTH * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (at, panel) in panels.iter().enumerate() {
        let offset = WIDTH * at as f64;
        let _ = writeln!(svg, "<g transform=\"translate({offset} 0)\">");
        panel.draw(x_title, &mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    // Writing to a String cannot fail, hence the `let _`.
    fn draw(&self, x_title: &str, svg: &mut String) {
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"20\" text-anchor=\"middle\" font-size=\"14\" \
             font-weight=\"bold\">{} ({})</text>",
            self.title, self.unit
        );
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Axis::over(points().map(|(clients, _)| *clients as f64), LEFT, WIDTH - RIGHT);
        let y = Axis::over(points().map(|(_, value)| *value), HEIGHT - BOTTOM, TOP);
        for tick in x.ticks() {
            let (at, low) = (x.place(tick), HEIGHT - BOTTOM);
            line(svg, (at, low), (at, TOP));
            let _ = writeln!(
                svg,
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                low + 18.0,
                number(tick)
            );
        }
        for tick in y.ticks() {
            let at = y.place(tick);
            line(svg, (LEFT, at), (WIDTH - RIGHT, at));
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                number(tick)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{x_title}</text>",
            HEIGHT - 10.0
        );
        for (at, (series, style)) in self.series.iter().zip(STYLES.iter().cycle()).enumerate() {
            series.draw(style, &x, &y, svg);
            series.draw_legend(style, at, svg);
        }
    }
}

impl Series {
    fn draw(&self, (colour, dash): &(&str, &str), x: &Axis, y: &Axis, svg: &mut String) {
        let places =
            self.points.iter().map(|(clients, value)| (x.place(*clients as f64), y.place(*value)));
        let path: Vec<String> = places.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dash}\"/>",
            path.join(" ")
        );
        for ((x, y), (_, value)) in places.zip(&self.points) {
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\">\
                 <title>{value:.1}</title></circle>"
            );
        }
    }

    fn draw_legend(&self, (colour, dash): &(&str, &str), at: usize, svg: &mut String) {
        let left = LEFT + 10.0 + 90.0 * at as f64;
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"36\" x2=\"{}\" y2=\"36\" stroke=\"{colour}\" \
             stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>\
             <text x=\"{}\" y=\"40\">{}</text>",
            left + 28.0,
            left + 34.0,
            self.name
        );
    }
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>"
    );
}

/// A logarithmic axis from one power of ten to another.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logs = values.map(f64::log10);
        let (low, high) =
            logs.fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low.floor(), high.ceil()) };
        Self { low, high: high.max(low + 1.0), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        self.from + (self.to - self.from) * share
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power))
    }
}

/// With a comma for every thousand.
fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
