//! What the names of elements and attributes mean.

use super::{Document, Separator, Url, ValueKind};

/// Attributes whose value a browser may load or navigate to.
const URL_ATTRIBUTES: &[&str] = &[
    "action",
    "archive",
    "background",
    "cite",
    "classid",
    "codebase",
    "dynsrc",
    "formaction",
    "href",
    "icon",
    "longdesc",
    "lowsrc",
    "manifest",
    "poster",
    "profile",
    "src",
    "usemap",
];

/// Attributes with lists of URLs, separated by commas or spaces.
const URL_LIST_ATTRIBUTES: &[&str] = &["srcset", "imagesrcset", "ping"];

/// SVG elements that can set another element's `href`, and the attributes that the value comes from.
const ANIMATIONS: &[&str] = &["animate", "animatemotion", "animatetransform", "set"];
const ANIMATED_VALUES: &[&str] = &["by", "from", "to"];

/// Attributes that browser frameworks evaluate as JavaScript.
const FRAMEWORK_PREFIXES: &[&str] = &["@", ":", "v-", "x-", "ng-", "data-ng-", "hx-on"];

/// The kind of an attribute's value. Both names are in lower case.
pub(super) fn value_kind(element: &str, attribute: &str) -> ValueKind {
    let url = |separator| ValueKind::Url(Url::new(separator));
    let local = match attribute.rsplit_once(':') {
        Some((prefix, local)) if !prefix.is_empty() => local,
        _ => attribute,
    };
    let is_script =
        attribute.starts_with("on") || FRAMEWORK_PREFIXES.iter().any(|prefix| attribute.starts_with(prefix));
    match attribute {
        _ if is_script => ValueKind::Script,
        "style" => ValueKind::Style,
        "srcdoc" => ValueKind::Document(Box::new(Document::new())),
        _ if URL_LIST_ATTRIBUTES.contains(&local) => url(Some(Separator::Comma)),
        _ if URL_ATTRIBUTES.contains(&local) => url(None),
        "data" if element == "object" => url(None),
        _ if ANIMATIONS.contains(&element) && local == "values" => url(Some(Separator::Semicolon)),
        _ if ANIMATIONS.contains(&element) && ANIMATED_VALUES.contains(&local) => url(None),
        _ => ValueKind::Plain,
    }
}

/// Whether the element's content is text without tags.
pub(super) fn is_raw_text(element: &str) -> bool {
    matches!(
        element,
        "script" | "style" | "textarea" | "title" | "xmp" | "iframe" | "noembed" | "noframes" | "plaintext"
    )
}

/// Whether the element exists only in `<svg>`.
pub(super) fn is_shape(element: &str) -> bool {
    matches!(
        element,
        "animate"
            | "animatemotion"
            | "animatetransform"
            | "circle"
            | "clippath"
            | "defs"
            | "ellipse"
            | "g"
            | "line"
            | "lineargradient"
            | "marker"
            | "mask"
            | "path"
            | "pattern"
            | "polygon"
            | "polyline"
            | "radialgradient"
            | "rect"
            | "stop"
            | "symbol"
            | "text"
            | "tspan"
            | "use"
    )
}

/// Whether the element has no end tag.
pub(crate) fn is_void(element: &str) -> bool {
    matches!(
        element,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_attributes_by_name() {
        let url = ValueKind::Url(Url::new(None));
        let urls = |separator| ValueKind::Url(Url::new(Some(separator)));
        for (element, attribute, expected) in [
            ("a", "href", url.clone()),
            ("use", "xlink:href", url.clone()),
            ("button", "formaction", url.clone()),
            ("object", "data", url.clone()),
            ("set", "to", url),
            ("img", "srcset", urls(Separator::Comma)),
            ("animate", "values", urls(Separator::Semicolon)),
            ("p", "values", ValueKind::Plain),
            ("p", "title", ValueKind::Plain),
            ("p", "data", ValueKind::Plain),
            ("p", "data-href", ValueKind::Plain),
            ("p", "style", ValueKind::Style),
            ("p", "onclick", ValueKind::Script),
            ("p", "@click", ValueKind::Script),
            ("p", ":href", ValueKind::Script),
            ("iframe", "srcdoc", ValueKind::Document(Box::new(Document::new()))),
        ] {
            assert_eq!(value_kind(element, attribute), expected, "{element} {attribute}");
        }
    }
}
