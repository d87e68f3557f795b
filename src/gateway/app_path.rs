//! Where an app's paths are among the public ones, and back: what a route takes off and puts before.
//!
//! Text in, text out. What comes out begins with exactly one slash: two would name a host to a browser
//! (RFC 3986 §4.2) and to some servers.

use crate::config::PathPrefix;

/// The app's path for a public one; `None` when that has not the prefix that is to be taken off.
pub fn of_app(path: &str, prefix: &PathPrefix) -> Option<String> {
    let rest = below(path, &prefix.strip)?;
    let path = match (prefix.add.is_empty(), rest) {
        (true, rest) => rooted(rest),
        // `/wiki` is the app's `/app`, which may want to redirect to `/app/`.
        (false, "") => prefix.add.clone(),
        (false, rest) => format!("{}{}", prefix.add, rooted(rest)),
    };
    Some(path)
}

/// The public path for an app's; `None` for one that is not the app's to say: outside of what this route
/// reaches, or public already.
pub fn public(path: &str, prefix: &PathPrefix) -> Option<String> {
    if !prefix.add.is_empty() {
        let rest = below(path, &prefix.add)?;
        return Some(match (prefix.strip.is_empty(), rest) {
            (true, rest) => rooted(rest),
            (false, "") => prefix.strip.clone(),
            (false, rest) => format!("{}{}", prefix.strip, rooted(rest)),
        });
    }
    if prefix.strip.is_empty() || below(path, &prefix.strip).is_some() {
        return None;
    }
    Some(format!("{}{}", prefix.strip, rooted(path)))
}

/// The public path of a cookie for that of an app's cookie; `None` as for [`public`].
pub fn of_cookie(path: &str, prefix: &PathPrefix) -> Option<String> {
    let whole = || match prefix.strip.as_str() {
        "" => "/".to_owned(),
        strip => strip.to_owned(),
    };
    // Browsers take their own default for such a path (RFC 6265bis §5.6.4).
    if !path.starts_with('/') {
        return None;
    }
    // A cookie for all of the app's host, or for a folder above the app, is for all of it here.
    let above = below(&prefix.add, path.trim_end_matches('/')).is_some();
    if !prefix.is_none() && above {
        return Some(whole());
    }
    public(path, prefix)
}

/// What is left of a path when a prefix is taken off at the border of a segment: nothing, or what begins with
/// a slash.
fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path with exactly one slash at its beginning, where browsers take a backslash for one.
pub fn rooted(path: &str) -> String {
    format!("/{}", path.trim_start_matches(['/', '\\']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(strip: &str, add: &str) -> PathPrefix {
        PathPrefix {
            strip: strip.to_owned(),
            add: add.to_owned(),
        }
    }

    #[test]
    fn an_app_hears_its_own_paths() {
        for (strip, add, path, expected) in [
            ("/wiki", "", "/wiki", Some("/")),
            ("/wiki", "", "/wiki/", Some("/")),
            ("/wiki", "", "/wiki/a/b", Some("/a/b")),
            (
                "/wiki",
                "",
                "/wiki//evil.example/x",
                Some("/evil.example/x"),
            ),
            ("/wiki", "", "/wikis", None),
            ("/wiki", "", "/", None),
            ("", "/app", "/", Some("/app/")),
            ("", "/app", "/x", Some("/app/x")),
            ("/wiki", "/app", "/wiki", Some("/app")),
            ("/wiki", "/app", "/wiki/", Some("/app/")),
            ("/wiki", "/app", "/wiki/x//y", Some("/app/x//y")),
            ("/a/b", "/c/d", "/a/b/e", Some("/c/d/e")),
        ] {
            assert_eq!(
                of_app(path, &prefix(strip, add)).as_deref(),
                expected,
                "{strip} {add} {path}"
            );
        }
    }

    #[test]
    fn what_an_app_says_is_put_back() {
        for (strip, add, path, expected) in [
            ("/wiki", "", "/", Some("/wiki/")),
            ("/wiki", "", "/x", Some("/wiki/x")),
            ("/wiki", "", "/wiki/x", None),
            ("/wiki", "", "/wikis", Some("/wiki/wikis")),
            ("", "/app", "/app", Some("/")),
            ("", "/app", "/app/x", Some("/x")),
            ("", "/app", "/app//evil.example", Some("/evil.example")),
            ("", "/app", "/app/\\evil.example", Some("/evil.example")),
            ("", "/app", "/apps", None),
            ("", "/app", "/other", None),
            ("/wiki", "/app", "/app", Some("/wiki")),
            ("/wiki", "/app", "/app/x", Some("/wiki/x")),
            ("/wiki", "/app", "/wiki/x", None),
            ("", "", "/x", None),
        ] {
            assert_eq!(
                public(path, &prefix(strip, add)).as_deref(),
                expected,
                "{strip} {add} {path}"
            );
        }
    }

    #[test]
    fn a_cookie_is_for_the_same_part_of_the_app() {
        for (strip, add, path, expected) in [
            ("/wiki", "", "/", Some("/wiki")),
            ("/wiki", "", "/x", Some("/wiki/x")),
            ("/wiki", "", "/wiki", None),
            ("", "/app", "/", Some("/")),
            ("", "/app", "/app", Some("/")),
            ("", "/app", "/app/", Some("/")),
            ("", "/app", "/app/x", Some("/x")),
            ("", "/a/b", "/a", Some("/")),
            ("", "/a/b", "/a/", Some("/")),
            ("/wiki", "/a/b", "/a/", Some("/wiki")),
            ("/wiki", "/app", "/", Some("/wiki")),
            ("/wiki", "/app", "/app/", Some("/wiki")),
            ("/wiki", "/app", "/app/x", Some("/wiki/x")),
            ("/wiki", "/app", "/other", None),
            ("/wiki", "", "", None),
            ("", "", "/", None),
        ] {
            let found = of_cookie(path, &prefix(strip, add));
            assert_eq!(found.as_deref(), expected, "{strip} {add} {path}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_begins_with_one_slash_and_goes_both_ways(
            strip in "(/[a-c.]{1,2}){0,2}", add in "(/[a-c.]{1,2}){0,2}", rest in "[/\\\\a-c.]{0,6}")
        {
            let prefix = prefix(&strip, &add);
            let one_slash = |path: &str| {
                path.starts_with('/') && !path[1..].starts_with(['/', '\\'])
            };
            let public_path = format!("{strip}/{rest}");
            let app = of_app(&public_path, &prefix).unwrap();
            prop_assert!(strip.is_empty() && add.is_empty() || one_slash(&app), "{}", app);
            if let Some(back) = public(&app, &prefix) {
                prop_assert!(one_slash(&back), "{}", back);
                prop_assert_eq!(of_app(&back, &prefix), Some(app));
            }
            if let Some(path) = of_cookie(&format!("/{rest}"), &prefix) {
                prop_assert!(one_slash(&path), "{}", path);
            }
        }
    }
}
