//! Tables and bars.

use std::fmt::Write;

use anstyle::Style;

use super::{DIM, Page, fit, fit_end, fit_name};

/// One column, with the number of characters that it takes where there is room.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// Text to the left, or a bar.
    Left(&'static str, usize),
    /// Text to the left, of which the end is what counts.
    LeftEnd(&'static str, usize),
    /// A name to the left, of which begin and end count.
    Name(&'static str, usize),
    /// Figures to the right.
    Right(&'static str, usize),
}

/// Least width of a column that is made narrower.
const NARROWEST: usize = 8;

impl Column {
    fn title(self) -> &'static str {
        match self {
            Column::Left(title, _)
            | Column::LeftEnd(title, _)
            | Column::Name(title, _)
            | Column::Right(title, _) => title,
        }
    }

    fn wanted(self) -> usize {
        match self {
            Column::Left(_, width)
            | Column::LeftEnd(_, width)
            | Column::Name(_, width)
            | Column::Right(_, width) => width,
        }
    }

    fn is_right(self) -> bool {
        matches!(self, Column::Right(..))
    }

    /// Writes a cell in `width` characters.
    fn write(self, line: &mut String, cell: &Cell, width: usize) {
        let (text, shown) = cell.draw(width, self);
        let pad = " ".repeat(width.saturating_sub(shown));
        let _ = match self.is_right() {
            true => write!(line, " {pad}{text}"),
            false => write!(line, " {text}{pad}"),
        };
    }
}

/// Writes a table, narrower than its columns want where the page is.
pub(super) fn table(out: &mut Page, columns: &[Column], rows: impl IntoIterator<Item = Vec<Cell>>) {
    let rows: Vec<Vec<Cell>> = rows.into_iter().collect();
    let widths = widths(columns, &rows, out.width);
    let mut line = String::from(" ");
    for (column, &width) in columns.iter().zip(&widths) {
        column.write(&mut line, &column.title().into(), width);
    }
    let _ = writeln!(out, "{DIM}{}{DIM:#}", line.trim_end());
    for row in rows {
        let mut line = String::from(" ");
        for ((column, cell), &width) in columns.iter().zip(&row).zip(&widths) {
            column.write(&mut line, cell, width);
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// What the columns want; where that is too much for the page, figures take what they need and the widest of the others give way.
fn widths(columns: &[Column], rows: &[Vec<Cell>], page: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|column| column.wanted()).collect();
    let excess = |widths: &[usize]| (1 + widths.len() + widths.iter().sum::<usize>()).saturating_sub(page);
    if excess(&widths) == 0 {
        return widths;
    }
    for (place, column) in columns.iter().enumerate() {
        let needs = rows.iter().map(|row| row[place].length()).max().unwrap_or(0);
        widths[place] = widths[place].min(needs.max(column.title().chars().count()));
    }
    while excess(&widths) > 0 {
        let flexible = (0..columns.len()).filter(|&place| !columns[place].is_right());
        match flexible.max_by_key(|&place| widths[place]) {
            Some(widest) if widths[widest] > NARROWEST => widths[widest] -= 1,
            _ => break,
        }
    }
    widths
}

/// What stands in a column.
pub(super) enum Cell {
    Text(String, Style),
    /// A bar: a share of the column.
    Bar(f64, Style),
    /// Parts of a whole side by side, each drawn with its character.
    Stacked(Vec<(f64, char, Style)>),
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text, Style::new())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        text.to_owned().into()
    }
}

impl Cell {
    /// A text in colour.
    pub(super) fn styled(text: String, style: Style) -> Cell {
        Cell::Text(text, style)
    }

    /// How many characters it would take; a bar takes what it gets.
    fn length(&self) -> usize {
        match self {
            Cell::Text(text, _) => text.chars().count(),
            Cell::Bar(..) | Cell::Stacked(_) => usize::MAX,
        }
    }

    /// As it is printed, and how many characters that shows.
    fn draw(&self, width: usize, column: Column) -> (String, usize) {
        match self {
            Cell::Text(text, style) => {
                let text = match column {
                    Column::Left(..) => fit(text, width),
                    Column::LeftEnd(..) => fit_end(text, width),
                    Column::Name(..) => fit_name(text, width),
                    // A figure is never cut.
                    Column::Right(..) => text.clone(),
                };
                (format!("{style}{text}{style:#}"), text.chars().count())
            }
            Cell::Bar(share, style) => {
                let bar = bar(*share, width);
                (format!("{style}{bar}{style:#}"), bar.chars().count())
            }
            Cell::Stacked(parts) => stacked(parts, width),
        }
    }
}

/// A bar of at most `width` columns, in eighths.
pub(super) fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// Parts of a whole side by side in `width` columns; rounding never exceeds the width. With the number of columns drawn.
fn stacked(parts: &[(f64, char, Style)], width: usize) -> (String, usize) {
    let (mut sum, mut drawn, mut text) = (0.0, 0, String::new());
    for &(share, character, style) in parts {
        sum += share;
        let until = ((sum.clamp(0.0, 1.0)) * width as f64).round() as usize;
        let count = until.saturating_sub(drawn);
        drawn += count;
        let _ = write!(text, "{style}{}{style:#}", String::from(character).repeat(count));
    }
    (text, drawn)
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
        let plain = Style::new();
        let thirds = [(1.0 / 3.0, 'a', plain), (1.0 / 3.0, 'b', plain), (1.0 / 3.0, 'c', plain)];
        assert_eq!(stacked(&thirds, 10), ("aaabbbbccc".to_owned(), 10));
    }

    #[test]
    fn on_a_narrow_page_texts_and_bars_give_way_and_figures_do_not() {
        let columns = [Column::Left("name", 20), Column::Right("ns", 12), Column::LeftEnd("line", 20)];
        let row =
            || vec!["a-very-long-thread-name".into(), "1 234 567".into(), "long/path/file.py:12 f".into()];
        let mut page = Page::new(40);
        table(&mut page, &columns, [row()]);
        let lines: Vec<&str> = page.text.lines().map(str::trim_end).collect();
        assert!(lines[1].contains("1 234 567") && lines[1].ends_with("file.py:12 f"), "{lines:?}");
        assert_eq!(lines[1].chars().count(), 40, "{lines:?}");
    }
}
