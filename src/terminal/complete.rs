//! What Tab does with the words that a command may be completed to.

/// The most words that are listed.
const MAX_LISTED: usize = 100;

/// What Tab does.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Completion {
    Nothing,
    /// Inserts this at the cursor.
    Insert(String),
    /// Prints this row.
    List(String),
}

/// Completes the last word before the cursor as far as all the words agree.
pub(super) fn completion(before: &str, after: &str, words: &[String]) -> Completion {
    let typed = before.rsplit(' ').next().unwrap_or(before);
    let mut rests = words.iter().filter_map(|word| word.strip_prefix(typed));
    let Some(first) = rests.next() else {
        return Completion::Nothing;
    };
    let common = rests.fold(first, common_prefix);
    let insert = match words {
        [_] if !after.starts_with(' ') => format!("{common} "),
        _ => common.to_owned(),
    };
    match words {
        [_, _, ..] if insert.is_empty() => Completion::List(list(words)),
        _ => Completion::Insert(insert),
    }
}

fn common_prefix<'a>(one: &'a str, other: &str) -> &'a str {
    let different = one.char_indices().zip(other.chars()).find(|((_, a), b)| a != b);
    let end = different.map_or(one.len().min(other.len()), |((at, _), _)| at);
    one.split_at(end).0
}

fn list(words: &[String]) -> String {
    let (listed, others) = words.split_at(words.len().min(MAX_LISTED));
    let row = listed.join("  ");
    match others.len() {
        0 => format!("{row}\n"),
        more => format!("{row}  and {more} more\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_as_far_as_the_words_agree_and_then_lists_them() {
        for (before, after, words, expected) in [
            ("/t", "", &["/tell"][..], Completion::Insert("ell ".to_owned())),
            ("/t", " 3", &["/tell"], Completion::Insert("ell".to_owned())),
            ("/tell a", "", &["anna", "anton"], Completion::Insert("n".to_owned())),
            ("/tell an", "", &["anna", "anton"], Completion::List("anna  anton\n".to_owned())),
            ("/tell ", "", &["ä", "ö"], Completion::List("ä  ö\n".to_owned())),
            ("/tell an", "", &["an", "anton"], Completion::List("an  anton\n".to_owned())),
            ("/x", "", &[], Completion::Nothing),
        ] {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(completion(before, after, &words), expected, "{before}");
        }
    }
}
