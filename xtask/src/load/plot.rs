//! The course of a measurement as an SVG: three panels above one axis of time.

use std::fmt::Write as _;

use super::report::{Point, Report};

/// A panel: what it shows, and its lines.
struct Panel {
    title: &'static str,
    lines: Vec<Line>,
}

struct Line {
    name: &'static str,
    color: &'static str,
    /// Seconds, value.
    points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 900.0;
const PANEL_HEIGHT: f64 = 180.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const GAP: f64 = 50.0;

const BLUE: &str = "#1f5fa8";
const ORANGE: &str = "#c8641b";

/// The whole file.
pub(super) fn svg(report: &Report) -> String {
    let panels = panels(report);
    let end = report.points.last().map_or(1.0, |point| point.second);
    let height = panels.iter().fold(TOP + 10.0, |height, _| height + PANEL_HEIGHT + GAP);
    let mut svg = String::new();
    let out = &mut svg;
    element(
        out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">"#
        ),
    );
    element(out, format_args!(r#"<rect width="100%" height="100%" fill="white"/>"#));
    let settings = &report.settings;
    let title = format!(
        "{} devices on {} partitions, {}, {} bytes",
        settings.devices, settings.partitions, settings.pace, settings.changeset_len
    );
    text(out, LEFT, 22.0, "start", &title);
    let mut top = TOP;
    for panel in &panels {
        draw(out, panel, top, end);
        top += PANEL_HEIGHT + GAP;
    }
    element(out, format_args!("</svg>"));
    svg
}

fn panels(report: &Report) -> Vec<Panel> {
    let line = |name, color, value: &dyn Fn(&Point) -> Option<f64>| Line {
        name,
        color,
        points: report
            .points
            .iter()
            .filter_map(|it| Some((it.second, value(it)?)))
            .filter(|(_, value)| value.is_finite())
            .collect(),
    };
    vec![
        Panel {
            title: "acknowledged uploads a second",
            lines: vec![line("", BLUE, &|it| Some(it.acknowledged_per_second))],
        },
        Panel {
            title: "from the write to its receipt on another device, ms",
            lines: vec![
                line("p50", BLUE, &|it| Some(it.p50_ms)),
                line("p99", ORANGE, &|it| Some(it.p99_ms)),
            ],
        },
        Panel {
            title: "processors in use",
            lines: vec![
                line("server", BLUE, &|it| it.server_cores),
                line("load generator", ORANGE, &|it| Some(it.own_cores)),
            ],
        },
    ]
}

fn draw(out: &mut String, panel: &Panel, top: f64, end: f64) {
    let bottom = top + PANEL_HEIGHT;
    let values = panel.lines.iter().flat_map(|line| &line.points).map(|&(_, value)| value);
    let step = tick(values.fold(0.0, f64::max) / 4.0);
    let most = step * 5.0;
    let x = |second: f64| second / end * (WIDTH - LEFT - RIGHT) + LEFT;
    let y = |value: f64| bottom - value / most * PANEL_HEIGHT;
    text(out, LEFT, top - 8.0, "start", panel.title);
    for number in 0..=5 {
        let value = step * f64::from(number);
        let at = y(value);
        element(
            out,
            format_args!(
                r##"<line x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}" stroke="#ddd"/>"##,
                WIDTH - RIGHT
            ),
        );
        text(out, LEFT - 6.0, at + 4.0, "end", &label(value));
    }
    let step = tick(end / 10.0);
    for number in 0_u32.. {
        let second = step * f64::from(number);
        if second > end {
            break;
        }
        text(out, x(second), bottom + 16.0, "middle", &format!("{} s", label(second)));
    }
    let mut legend = WIDTH - RIGHT;
    for line in panel.lines.iter().rev() {
        let points =
            line.points.iter().map(|&(second, value)| format!("{:.1},{:.1}", x(second), y(value)));
        let points = points.collect::<Vec<_>>().join(" ");
        let color = line.color;
        element(
            out,
            format_args!(
                r#"<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>"#
            ),
        );
        element(
            out,
            format_args!(
                r#"<text x="{legend}" y="{}" text-anchor="end" fill="{color}">{}</text>"#,
                top - 8.0,
                line.name
            ),
        );
        legend -= 110.0;
    }
}

/// A step between ticks that is at least this: 1, 2 or 5 times a power of ten.
fn tick(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|it| it * power).find(|it| *it >= least).unwrap_or(power)
}

fn label(value: f64) -> String {
    if value >= 10.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    element(
        out,
        format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#),
    );
}

fn element(out: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(out, "{element}").expect("a string takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_not_smaller_than_asked() {
        for (least, expected) in
            [(0.9, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.0, 10.0), (420.0, 500.0)]
        {
            assert!((tick(least) - expected).abs() < 1e-9, "{least}: {}", tick(least));
        }
        assert!(tick(0.0) > 0.0);
        assert_eq!([0.0, 0.25, 2.0, 5000.0].map(label), ["0", "0.25", "2", "5000"]);
    }
}
