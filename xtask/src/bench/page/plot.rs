//! Curves: what a request costs more, against what grows.

use anyhow::{Context, Result, anyhow};
use e2e::bench::report::Report;
use plotters::prelude::{
    ChartBuilder, Circle, IntoDrawingArea, LineSeries, PathElement, RGBColor, SVGBackend, WHITE,
};
use plotters::style::Color as _;

/// A drawing.
pub(super) struct Plot {
    name: &'static str,
    pub(super) title: &'static str,
    /// What grows.
    axis: &'static str,
    curves: &'static [Curve],
}

struct Curve {
    legend: &'static str,
    /// How far it grows.
    at: &'static [u64],
    /// The case that is measured there.
    case: fn(u64) -> String,
}

const RULES: &[u64] = &[10, 1_000, 10_000];

pub(super) const PLOTS: [Plot; 7] = [
    Plot {
        name: "rules",
        title: "Rules of header-routing: the first, the last and none in turn",
        axis: "rules",
        curves: &[
            Curve { legend: "exact paths", at: RULES, case: |n| rules("exact", n, "") },
            Curve { legend: "prefixes", at: RULES, case: |n| rules("prefix", n, "") },
            Curve { legend: "templates", at: RULES, case: |n| rules("template", n, "") },
            Curve { legend: "regular expressions", at: RULES, case: |n| rules("regex", n, "") },
            Curve { legend: "mixed", at: RULES, case: |n| rules("mixed", n, "") },
        ],
    },
    Plot {
        name: "rules-native",
        title: "The same rules, beside Envoy's own",
        axis: "rules",
        curves: &[
            Curve { legend: "mixed", at: RULES, case: |n| rules("mixed", n, "") },
            Curve { legend: "exact paths", at: RULES, case: |n| rules("exact", n, "") },
            Curve { legend: "mixed, as Envoy's routes", at: RULES, case: |n| rules("mixed", n, "/routes") },
            Curve { legend: "exact, as Envoy's routes", at: RULES, case: |n| rules("exact", n, "/routes") },
            Curve { legend: "exact, as RBAC policies", at: RULES, case: |n| rules("exact", n, "/rbac") },
        ],
    },
    Plot {
        name: "keys",
        title: "Keys of a limit",
        axis: "keys",
        curves: &[Curve { legend: "rate-limit", at: &[1, 2_000, 1_000_000], case: keys }],
    },
    Plot {
        name: "headers",
        title: "Request headers",
        axis: "headers",
        curves: &[Curve { legend: "suite", at: &[5, 8, 30, 100], case: |n| format!("growth/headers/{n}") }],
    },
    Plot {
        name: "header-bytes",
        title: "The largest request header",
        axis: "bytes",
        curves: &[Curve {
            legend: "suite",
            at: &[16, 1_024, 8_192, 32_768],
            case: |n| format!("growth/header-bytes/{n}"),
        }],
    },
    Plot {
        name: "body-bytes",
        title: "The request's body",
        axis: "bytes",
        curves: &[Curve {
            legend: "suite",
            at: &[0, 1_024, 16_384, 98_304],
            case: |n| format!("growth/body-bytes/{n}"),
        }],
    },
    Plot {
        name: "workers",
        title: "Envoy's workers",
        axis: "workers",
        curves: &[Curve { legend: "suite", at: &[1, 2, 4], case: |n| format!("growth/workers/{n}") }],
    },
];

fn rules(kind: &str, count: u64, suffix: &str) -> String {
    format!("header-routing/rules/{kind}/{count}{suffix}")
}

fn keys(count: u64) -> String {
    match count {
        1 => "rate-limit/one-key",
        1_000_000 => "rate-limit/million-keys",
        _ => "rate-limit",
    }
    .to_owned()
}

/// The names of all cases that are drawn.
pub(super) fn cases() -> Vec<String> {
    let curves = PLOTS.iter().flat_map(|plot| plot.curves);
    let mut names: Vec<String> =
        curves.flat_map(|curve| curve.at.iter().map(|at| (curve.case)(*at))).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// All drawings: file names and SVG.
pub(super) fn draw(report: &Report) -> Result<Vec<(String, String)>> {
    PLOTS.iter().map(|plot| Ok((plot.file(), plot.draw(report)?))).collect()
}

const SIZE: (u32, u32) = (720, 420);
const FONT: &str = "sans-serif";
/// What costs more than so many times the least is drawn by its logarithm: else nothing would be seen of the least.
const STEEP: f64 = 20.0;
/// No figure is known so well that less than this, in µs, could be told from nothing.
const LEAST: f64 = 0.1;

/// Told apart by colour-blind readers too (Okabe and Ito).
const COLORS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];

/// Axes are always linear; what is drawn on them may be a logarithm.
#[derive(Clone, Copy)]
struct Scale {
    logarithmic: bool,
}

impl Scale {
    fn to(self, figure: f64) -> f64 {
        if self.logarithmic { figure.log10() } else { figure }
    }

    fn label(self, drawn: f64) -> String {
        match if self.logarithmic { 10_f64.powf(drawn) } else { drawn } {
            figure if figure < 10.0 => format!("{figure:.1}").trim_end_matches(".0").to_owned(),
            figure => format!("{figure:.0}"),
        }
    }
}

impl Plot {
    pub(super) fn file(&self) -> String {
        format!("{}.svg", self.name)
    }

    fn draw(&self, report: &Report) -> Result<String> {
        let added = |name: &str| {
            let row = report.rows.iter().find(|row| row.name == name);
            row.map(|row| row.added_us.max(LEAST)).with_context(|| format!("{name} was not measured"))
        };
        let mut curves = Vec::new();
        for curve in self.curves {
            // A logarithm has no place for none.
            let points = curve.at.iter().map(|at| Ok((at.max(&1), added(&(curve.case)(*at))?)));
            let points = points.map(|point| point.map(|(at, added)| (*at as f64, added)));
            curves.push((curve.legend, points.collect::<Result<Vec<_>>>()?));
        }
        self.draw_curves(&curves).map_err(|error| anyhow!("drawing {}: {error}", self.name))
    }

    fn draw_curves(&self, curves: &[(&str, Vec<(f64, f64)>)]) -> Result<String, Box<dyn std::error::Error>> {
        let all: Vec<(f64, f64)> = curves.iter().flat_map(|(_, points)| points).copied().collect();
        let range = |figure: fn(&(f64, f64)) -> f64| {
            let figures = all.iter().map(figure);
            (figures.clone().fold(f64::INFINITY, f64::min), figures.fold(0.0, f64::max))
        };
        let ((left, right), (least, most)) = (range(|point| point.0), range(|point| point.1));
        let across = Scale { logarithmic: right > STEEP * left };
        let up = Scale { logarithmic: most > STEEP * least };
        let bottom = if up.logarithmic { up.to(least / 2.0) } else { 0.0 };
        let top = if up.logarithmic { up.to(most * 2.0) } else { most * 1.25 };

        let mut drawing = String::new();
        let area = SVGBackend::with_string(&mut drawing, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, (FONT, 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(across.to(left)..across.to(right), bottom..top)?;
        chart
            .configure_mesh()
            .x_desc(self.axis)
            .y_desc("µs more for a request")
            .x_label_formatter(&|x| across.label(*x))
            .y_label_formatter(&|y| up.label(*y))
            .draw()?;
        for ((legend, points), color) in curves.iter().zip(COLORS) {
            let drawn: Vec<(f64, f64)> = points.iter().map(|(x, y)| (across.to(*x), up.to(*y))).collect();
            chart.draw_series(drawn.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
            chart
                .draw_series(LineSeries::new(drawn, color.stroke_width(2)))?
                .label(*legend)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
        }
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).label_font((FONT, 13)).draw()?;
        area.present()?;
        drop(chart);
        drop(area);
        Ok(drawing)
    }
}

#[cfg(test)]
mod tests {
    use e2e::bench::report::Row;

    use super::*;

    #[test]
    fn every_curve_is_drawn() {
        let mut report = Report::default();
        for (index, name) in cases().into_iter().enumerate() {
            report.rows.push(Row { name, added_us: 1.0 + index as f64, ..Row::default() });
        }
        let drawings = draw(&report).unwrap();
        assert_eq!(drawings.len(), PLOTS.len());
        for (plot, (file, drawing)) in PLOTS.iter().zip(drawings) {
            assert_eq!(file, plot.file());
            assert!(drawing.matches("<circle").count() >= plot.curves.len(), "{drawing}");
            for curve in plot.curves {
                let legend = curve.legend.replace('\'', "&apos;");
                assert!(drawing.contains(&legend), "{legend} in {drawing}");
            }
        }
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        assert!(draw(&Report::default()).is_err());
    }

    #[test]
    fn labels_are_the_figures_themselves() {
        assert_eq!(Scale { logarithmic: true }.label(3.0), "1000");
        assert_eq!(Scale { logarithmic: false }.label(2.5), "2.5");
    }
}
