//! Prints tables in the layout of Go's tabwriter, as runc does, and with colours on a terminal.

use std::io::IsTerminal;

/// Whether output to this stream may be coloured (https://no-color.org).
pub fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Pads each column to its longest cell plus three and at least twelve characters, except the last.
pub fn set(rows: &[Vec<String>]) -> String {
    const MIN_WIDTH: usize = 12;
    const GAP: usize = 3;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count() + GAP).max().unwrap_or(0).max(MIN_WIDTH)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == row.len() {
                text += cell
            } else {
                text += &format!("{cell:<width$}", width = widths[column])
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_twelve_wide_or_as_their_longest_cell_and_three() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = set(&[row(["ID", "STATUS", "OWNER"]), row(["a-long-name", "running", "root"])]);
        assert_eq!(text, "ID            STATUS      OWNER\na-long-name   running     root\n");
    }
}
