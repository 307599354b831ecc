//! Which paths fit, and what is refused.

use super::*;

fn taken(template: &str, path: &str) -> Option<Vec<String>> {
    let template = Template::new(template).unwrap();
    let captures = template.matches(path.as_bytes());
    assert_eq!(captures.is_some(), template.fits(path.as_bytes()));
    let text = |value: &&[u8]| String::from_utf8_lossy(value).into_owned();
    captures.map(|captures| captures.values().iter().map(text).collect())
}

#[test]
fn a_template_takes_segments_and_the_remainder() {
    for (template, path, expected) in [
        ("/users/{id}", "/users/7", Some(vec!["7"])),
        ("/users/{id}", "/users/", None),
        ("/users/{id}", "/users", None),
        ("/users/{id}", "/users/7/", None),
        ("/users/{id}", "/users/7/8", None),
        ("/users/{id}/", "/users/7/", Some(vec!["7"])),
        ("/users/{id}/", "/users/7", None),
        ("/users/{id}/items/{*rest}", "/users/7/items/a/b/", Some(vec!["7", "a/b/"])),
        ("/users/{id}/items/{*rest}", "/users/7/items/", None),
        ("/{*all}", "/x", Some(vec!["x"])),
        ("/{*all}", "/", None),
        ("/", "/", Some(vec![])),
        ("/", "", None),
        ("/", "*", None),
        ("/a", "/a", Some(vec![])),
        ("/{a}/{b}", "//x", None),
    ] {
        let expected = expected.map(|values| values.iter().map(|value| (*value).to_owned()).collect());
        assert_eq!(taken(template, path), expected, "{template} {path}");
    }
    let template = Template::new("/{a}/{b}").unwrap();
    let captures = template.matches(b"/1/\xff").unwrap();
    assert_eq!(
        (captures.get("a"), captures.get("b"), captures.get("c")),
        (Some(&b"1"[..]), Some(&b"\xff"[..]), None)
    );
    assert_eq!(template.names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn what_is_no_template_is_refused() {
    for (text, error) in [
        ("", TemplateError::NoSlash),
        ("users/{id}", TemplateError::NoSlash),
        ("/v{version}", TemplateError::Segment),
        ("/{a}{b}", TemplateError::Name),
        ("/{a", TemplateError::Segment),
        ("/a}", TemplateError::Segment),
        ("/{}", TemplateError::Name),
        ("/{*}", TemplateError::Name),
        ("/{1a}", TemplateError::Name),
        ("/{a-b}", TemplateError::Name),
        ("/{a}/{a}", TemplateError::Duplicate),
        ("/{a}/x/{*a}", TemplateError::Duplicate),
        ("/{*a}/b", TemplateError::RestNotLast),
        ("/{*a}/", TemplateError::RestNotLast),
        ("/a//b", TemplateError::NotNormalised),
        ("/../{a}", TemplateError::NotNormalised),
        ("/a?b={c}", TemplateError::Segment),
        ("/a?b", TemplateError::NotNormalised),
        ("/%61/{b}", TemplateError::NotNormalised),
    ] {
        assert_eq!(Template::new(text), Err(error), "{text}");
    }
}

#[test]
fn the_most_specific_template_wins_whatever_the_order() {
    let texts = ["/{*all}", "/a/{x}", "/a/b", "/{x}/b", "/a/{x}/c", "/a/b/{*rest}", "/a/"];
    for turn in 0..texts.len() {
        let mut turned = texts.to_vec();
        turned.rotate_left(turn);
        let set = TemplateSet::new(turned.iter().map(|text| Template::new(text).unwrap()).collect()).unwrap();
        for (path, expected) in [
            ("/a/b", Some("/a/b")),
            ("/a/c", Some("/a/{x}")),
            ("/c/b", Some("/{x}/b")),
            ("/c/c", Some("/{*all}")),
            ("/a/x/c", Some("/a/{x}/c")),
            // The literal `b` leads only to a dead end, so what comes after it in rank is tried.
            ("/a/b/c", Some("/a/b/{*rest}")),
            ("/a/x/d", Some("/{*all}")),
            ("/a/", Some("/a/")),
            ("/", None),
            ("", None),
        ] {
            let found = set.matches(path.as_bytes()).map(|(template, _)| template.as_str());
            assert_eq!(found, expected, "{path}");
        }
    }
}

#[test]
fn two_templates_of_the_same_paths_are_refused_by_place() {
    let error = tidegate_config::decode::<TemplateSet>(br#"["/a/{x}", "/b", "/a/{y}", "c"]"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "configuration[3]: expected a path template starting with \"/\", found \"c\""
    );
    let error = tidegate_config::decode::<TemplateSet>(br#"["/a/{x}", "/b", "/a/{y}"]"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "configuration[2]: expected a template that other paths fit than those of configuration[0], found \"/a/{y}\""
    );
}
