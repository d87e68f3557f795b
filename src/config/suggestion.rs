//! Did you mean: the accepted word that is nearest to a mistyped one.

/// The candidate within a third of `word`'s length, or two edits for short words.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    // Words this long are not typing mistakes, and the distance costs the product of both lengths.
    if word.len() > 64 {
        return None;
    }
    let limit = (word.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein's: insertions, deletions and replacements; letter case does not count.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let keys = ["access", "allow", "host", "max_age", "path", "upstream"];
        for (word, meant) in [
            ("acess", Some("access")),
            ("maxage", Some("max_age")),
            ("Path", Some("path")),
            ("upstraem", Some("upstream")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys).as_deref(), meant, "{word}");
        }
    }
}
