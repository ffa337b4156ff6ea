//! Tables and bars.

use std::fmt::Write;

use super::DIM;

/// One column.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// Text to the left, in so many columns.
    Left(&'static str, usize),
    /// Figures to the right.
    Right(&'static str, usize),
}

/// Writes a table: the cells may carry colour, so each comes with the number of columns that it shows.
pub(super) fn table(out: &mut String, columns: &[Column], rows: impl IntoIterator<Item = Vec<Cell>>) {
    let mut line = String::from(" ");
    for column in columns {
        let _ = match *column {
            Column::Left(title, width) => write!(line, " {title:<width$}"),
            Column::Right(title, width) => write!(line, " {title:>width$}"),
        };
    }
    let _ = writeln!(out, "{DIM}{}{DIM:#}", line.trim_end());
    for row in rows {
        let mut line = String::from(" ");
        for (column, cell) in columns.iter().zip(row) {
            let (width, left) = match *column {
                Column::Left(_, width) => (width, true),
                Column::Right(_, width) => (width, false),
            };
            let pad = " ".repeat(width.saturating_sub(cell.shown));
            let _ = match left {
                true => write!(line, " {}{pad}", cell.text),
                false => write!(line, " {pad}{}", cell.text),
            };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// A cell and how many columns it shows.
pub(super) struct Cell {
    text: String,
    shown: usize,
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { shown: text.chars().count(), text }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        text.to_owned().into()
    }
}

impl Cell {
    /// The same in colour.
    pub(super) fn styled(self, style: anstyle::Style) -> Cell {
        Cell { text: format!("{style}{}{style:#}", self.text), ..self }
    }

    /// A cell of several parts.
    pub(super) fn joined(parts: impl IntoIterator<Item = Cell>) -> Cell {
        let mut all = Cell { text: String::new(), shown: 0 };
        for part in parts {
            all.text.push_str(&part.text);
            all.shown += part.shown;
        }
        all
    }
}

/// A bar of at most `width` columns, in eighths.
pub(super) fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// One column a value, eight heights; what is not zero shows at least the lowest.
pub(super) fn spark(values: &[u64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let height = |value: u64| match value {
        0 => ' ',
        _ => HEIGHTS[((value as f64 / most as f64 * 8.0).ceil() as usize).clamp(1, 8) - 1],
    };
    values.iter().map(|&value| height(value)).collect()
}

/// Parts of a whole side by side in `width` columns, each drawn with its character; rounding never exceeds the width.
pub(super) fn stacked(parts: &[(f64, char, anstyle::Style)], width: usize) -> Cell {
    let (mut sum, mut drawn) = (0.0, 0);
    let cells = parts.iter().map(|&(share, character, style)| {
        sum += share;
        let until = ((sum.clamp(0.0, 1.0)) * width as f64).round() as usize;
        let count = until.saturating_sub(drawn);
        drawn += count;
        Cell::from(String::from(character).repeat(count)).styled(style)
    });
    let cells: Vec<Cell> = cells.collect();
    Cell::joined(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(0.5, 3), "█▌");
        assert_eq!(bar(7.0, 2), "██");
        assert_eq!(bar(0.0, 9), "");
    }

    #[test]
    fn parts_side_by_side_fill_the_width_exactly() {
        let plain = anstyle::Style::new();
        let cell = stacked(&[(1.0 / 3.0, 'a', plain), (1.0 / 3.0, 'b', plain), (1.0 / 3.0, 'c', plain)], 10);
        assert_eq!(cell.shown, 10);
    }
}
