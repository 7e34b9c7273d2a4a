//! Figures as Prometheus reads them: its text format, version 0.0.4.

use std::fmt::Write;

/// A page of figures.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

/// The labels of a figure and its value.
pub type Figure<'a> = (Vec<(&'a str, &'a str)>, f64);

impl Page {
    /// Adds a metric of that kind (`gauge` or `counter`), unless it has no figure.
    pub fn metric(&mut self, kind: &str, name: &str, help: &str, figures: &[Figure<'_>]) {
        if figures.is_empty() {
            return;
        }
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in figures {
            self.text.push_str(name);
            for (at, (label, value)) in labels.iter().enumerate() {
                let _ =
                    write!(self.text, "{}{label}=\"{}\"", if at == 0 { '{' } else { ',' }, escaped(value));
            }
            let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
        }
    }

    /// The whole page.
    pub fn text(self) -> String {
        self.text
    }
}

/// A label's value: backslash, quote and newline are escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_its_help_its_type_and_a_line_for_each_figure() {
        let mut page = Page::default();
        page.metric("gauge", "tsm_x", "What it is.", &[(vec![("name", "a\"b\\c\nd"), ("state", "up")], 1.5)]);
        page.metric("counter", "tsm_y_total", "How many.", &[(vec![], 3.0)]);
        page.metric("gauge", "tsm_z", "Nothing.", &[]);
        assert_eq!(
            page.text(),
            "# HELP tsm_x What it is.\n# TYPE tsm_x gauge\ntsm_x{name=\"a\\\"b\\\\c\\nd\",state=\"up\"} 1.5\n\
             # HELP tsm_y_total How many.\n# TYPE tsm_y_total counter\ntsm_y_total 3\n"
        );
    }
}
