//! The word that somebody may have meant.

/// The candidate that is at most two slips of the fingers away from `word`, the nearest first.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Two slips in a word of three letters make any word of it.
    let most = (word.chars().count() / 3).min(2);
    let measured = candidates.into_iter().map(|other| (strsim::damerau_levenshtein(word, other), other));
    measured.filter(|(distance, _)| *distance <= most).min().map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        for (word, expected) in [
            ("wbe", Some("web")),
            ("webs", Some("web")),
            ("web-aip", Some("web-api")),
            ("db", None),
            ("worker", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, ["web", "web-api", "redis"]), expected, "{word}");
        }
    }
}
