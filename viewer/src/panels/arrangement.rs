//! How the panels are arranged: three columns of tabs at first, then as they were left.

use egui_tiles::{Container, Tile, TileId, Tiles, Tree};

use super::Panel;

/// Where the arrangement stands in eframe's storage.
pub(crate) const KEY: &str = "gilscope.panels";

/// Verdict and convoys, threads and code, figures of the range.
pub(crate) fn at_first() -> Tree<Panel> {
    let mut tiles = Tiles::default();
    let mut tabs = |panels: &[Panel]| {
        let children: Vec<TileId> = panels.iter().map(|&panel| tiles.insert_pane(panel)).collect();
        tiles.insert_tab_tile(children)
    };
    let left = tabs(&[Panel::Verdict, Panel::Convoys]);
    let middle = tabs(&[Panel::Threads, Panel::Blame, Panel::Code]);
    let right = tabs(&[Panel::Waits, Panel::Counters, Panel::Details]);
    let root = tiles.insert_horizontal_tile(vec![left, middle, right]);
    // The table of threads needs the most room, so that its figures are seen in a window of 1280 points.
    if let Some(Tile::Container(Container::Linear(columns))) = tiles.get_mut(root) {
        columns.shares.set_share(middle, 1.2);
    }
    Tree::new(egui::Id::unique("panels"), root, tiles)
}

/// The arrangement that was kept, if every panel can be reached in it exactly once; otherwise the first one.
pub(crate) fn kept(tree: Option<Tree<Panel>>) -> Tree<Panel> {
    tree.filter(is_whole).unwrap_or_else(at_first)
}

fn is_whole(tree: &Tree<Panel>) -> bool {
    let mut seen = Vec::new();
    let mut open: Vec<TileId> = tree.root.into_iter().collect();
    // A damaged file may name a tile as its own child: no more are looked at than there are.
    let mut left = tree.tiles.len();
    while let Some(tile) = open.pop() {
        if left == 0 {
            return false;
        }
        left -= 1;
        match tree.tiles.get(tile) {
            Some(Tile::Pane(panel)) => seen.push(*panel),
            Some(Tile::Container(container)) => open.extend(container.children()),
            None => return false,
        }
    }
    Panel::ALL.iter().all(|panel| seen.iter().filter(|other| *other == panel).count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through_storage(tree: &Tree<Panel>) -> Tree<Panel> {
        serde_json::from_str(&serde_json::to_string(tree).unwrap()).unwrap()
    }

    #[test]
    fn an_arrangement_comes_back_as_it_was_left() {
        let mut tree = at_first();
        let (details, verdict) =
            (tree.tiles.find_pane(&Panel::Details).unwrap(), tree.tiles.find_pane(&Panel::Verdict).unwrap());
        let column = tree.tiles.parent_of(verdict).unwrap();
        tree.move_tile_to_container(details, column, 0, false);
        let kept = kept(Some(through_storage(&tree)));
        assert_eq!(kept.tiles.parent_of(details), Some(column));
    }

    #[test]
    fn an_arrangement_that_lacks_a_panel_is_not_used() {
        let mut tree = at_first();
        let details = tree.tiles.find_pane(&Panel::Details).unwrap();
        tree.remove_recursively(details);
        assert!(!is_whole(&tree));
        assert!(is_whole(&kept(Some(through_storage(&tree)))));
        assert!(is_whole(&kept(None)));
    }
}
