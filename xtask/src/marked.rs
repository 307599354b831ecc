//! Pages that are written by measuring between two marks, and by people around them.

use anyhow::{Result, bail};

const BEGIN: &str = "<!-- measured: begin (";
const END: &str = "<!-- measured: end -->\n";

/// Puts what was measured between the marks. The first of them says which command does it.
pub(crate) fn insert(page: &str, measured: &str) -> Result<String> {
    let parts = page.find(BEGIN).and_then(|start| {
        let begin_end = start + page.get(start..)?.find('\n')? + 1;
        let (_, after) = page.get(begin_end..)?.split_once(END)?;
        Some((page.get(..begin_end)?, after))
    });
    let Some((before, after)) = parts else { bail!("the page lacks the marks between which figures go") };
    Ok(format!("{before}\n{measured}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays() {
        let begin = format!("{BEGIN}some command) -->\n");
        let page = format!("before\n{begin}old\n{END}after\n");
        assert_eq!(insert(&page, "new").unwrap(), format!("before\n{begin}\nnew\n{END}after\n"));
        assert!(insert("no marks", "new").is_err());
    }
}
