use std::slice;

use super::*;

/// The blocks, the visible text, and what is misplaced.
fn parts(html: &str) -> (Vec<&str>, String, Option<Misplaced>) {
    let found = extract(html).unwrap();
    let blocks = found.blocks.iter().map(|block| &html[block.clone()]).collect();
    (blocks, Visible::new(html, &found.holes).text, found.misplaced.map(|(_, misplaced)| misplaced))
}

#[test]
fn takes_scripts_out_of_the_page() {
    for (html, blocks, visible) in [
        ("<p>a</p>", vec![], "<p>a</p>"),
        ("<script>ours()</script>", vec![], "<script>ours()</script>"),
        ("a<script scope=\"backend\">x</script>b", vec!["x"], "ab"),
        ("<SCRIPT SCOPE='BACKEND' async>x</SCRIPT >b", vec!["x"], "b"),
        (
            "<script scope=backend>1</script>-<script type=module scope=backend>2</script>",
            vec!["1", "2"],
            "-",
        ),
        ("<script scope=backend>'<b>' // </scrip\n</script>b", vec!["'<b>' // </scrip\n"], "b"),
        (
            "<script scope=backend>'<script scope=backend a=\"'</script>b",
            vec!["'<script scope=backend a=\"'"],
            "b",
        ),
        (
            "<script scope=backend><!--<script></script>'</p>'</script>b",
            vec!["<!--<script></script>'</p>'"],
            "b",
        ),
        ("a<script scope=backend>never closed", vec!["never closed"], "a"),
        ("a<!-- <script scope=backend>old()</script> -->b", vec![], "ab"),
        ("a<!-- <script scope=back&#101;nd>1</script><script scope=backend>2</script> -->b", vec![], "ab"),
        ("a<!--><script scope=backend>x</script>-->b", vec!["x"], "a<!-->-->b"),
        ("a<!-- harmless -->b", vec![], "a<!-- harmless -->b"),
        (
            "<svg><title>t</title></svg><script scope=backend>x</script>",
            vec!["x"],
            "<svg><title>t</title></svg>",
        ),
        ("<script scope=\"back&#101;nd\">x</script>b", vec!["x"], "b"),
        ("<script scope=&#x62;ackend>x</script>b", vec!["x"], "b"),
        (
            "<select><script scope=backend>'</select>'</script></select>",
            vec!["'</select>'"],
            "<select></select>",
        ),
        // HTML ignores the slash of a self-closing script tag.
        ("<script scope='backend'/>x</script>b", vec!["x"], "b"),
    ] {
        assert_eq!(parts(html), (blocks, visible.to_owned(), None), "{html}");
    }
}

#[test]
fn hides_and_reports_text_that_looks_like_a_script() {
    for (html, visible) in [
        ("a<textarea><script scope=backend>x</script></textarea>b", "ab"),
        ("a<title><script scope=backend>x</title>b", "a"),
        ("a<title><script scope=backend>x</title><p></p><script>ours()</script>b", "ab"),
        ("a<style>/* <script scope='backend'>x</script> */</style>b", "ab"),
        ("a<script scope=\"backend\" ", "a"),
        ("a<script>var s = '<script scope=backend>x';</script>b", "ab"),
        ("a<p title='<script scope=back&#101;nd>x</script>'>b", "a<p title=''>b"),
        ("a<script scope=browser scope=backend>x</script>b", "ab"),
    ] {
        assert_eq!(parts(html), (vec![], visible.to_owned(), Some(Misplaced::NotAllowedHere)), "{html}");
    }
    assert_eq!(parts("a<!-- <script scope=backend>x"), (vec![], "a".to_owned(), None));
}

#[test]
fn hides_a_comment_to_the_end_of_the_script_in_it() {
    for (html, visible) in [
        ("a<!-- <script scope=backend>'-->' SECRET</script> -->b", "ab"),
        ("a<!-- <script scope=backend>'--!>' SECRET</script>\n-->b", "ab"),
        ("a<!-- <script scope=backend>'-->' SECRET</script>b -->c", "ab -->c"),
        ("a<!-- <script scope=backend>1</script> <script scope=backend>'-->' SECRET</script> -->b", "ab"),
        ("a<!-- <script scope=backend>'-->' SECRET</scripts> SECRET</script> -->b", "ab"),
        ("a<!-- <script scope=backend>'-->' SECRET", "a"),
        ("a<!-- <script scope=backend --> SECRET</script>b", "ab"),
        ("a<? <script scope=backend>SECRET</script> ?>b", "ab"),
        ("a</ <script scope=backend>SECRET</script> >b", "ab"),
        ("a<!x <script scope=backend>SECRET</script>>b", "ab"),
        ("a<![CDATA[<script scope=backend>SECRET</script>]]>b", "ab"),
        ("a<svg><![CDATA[<script scope=backend>']]>' SECRET</script>]]></svg>b", "a<svg><![CDATA[]]></svg>b"),
    ] {
        let (blocks, seen, misplaced) = parts(html);
        assert_eq!((blocks.len(), seen.as_str(), misplaced.is_some()), (0, visible, true), "{html}");
    }
    let (_, _, misplaced) = parts("<!-- <script scope=backend>'-->' SECRET</script> -->");
    assert_eq!(misplaced, Some(Misplaced::CommentEndsInside));
}

#[test]
fn hides_an_element_to_the_end_of_the_script_in_it() {
    for name in ["textarea", "noscript", "style", "xmp", "title", "iframe", "noembed", "noframes"] {
        let script = format!("<script scope=backend>'</{name}>' SECRET</script>");
        let html = format!("a<{name}>1{script}2</{name}>b<{name}>c</{name}>");
        let visible = format!("ab<{name}>c</{name}>");
        assert_eq!(parts(&html), (vec![], visible, Some(Misplaced::NotAllowedHere)), "{html}");
        // The end tag of a later element must not close this one.
        let html = format!("a<{name}>{script}b<{name}>c</{name}>");
        assert_eq!(parts(&html).1, format!("ab<{name}>c</{name}>"), "{html}");
    }
}

#[test]
fn rejects_scripts_in_svg_and_math() {
    for (html, visible) in [
        ("<svg><script scope='backend'>'</svg>' SECRET</script></svg>b", "<svg></svg>b"),
        ("<math><script scope='backend'>'<p>' SECRET</script></math>b", "<math></math>b"),
        ("<svg><script scope='backend'>SECRET</svg>", "<svg>"),
        ("<svg><script scope='backend'/>text</svg><p>page</p>", "<svg>text</svg><p>page</p>"),
        (
            "<svg><script scope='back&#101;nd' /></svg><script>ours()</script>",
            "<svg></svg><script>ours()</script>",
        ),
        ("<svg><script scope='backend'/>SECRET</script></svg>b", "<svg></svg>b"),
        (
            "<svg><style/></svg>a<textarea><script scope=backend></script></textarea>b",
            "<svg><style/></svg>ab",
        ),
    ] {
        assert_eq!(parts(html), (vec![], visible.to_owned(), Some(Misplaced::NotAllowedHere)), "{html}");
    }
}

#[test]
fn hides_script_tags_formed_by_removing_a_script() {
    let script = "<script scope=backend>x</script>";
    for (html, visible) in [
        (format!("ü<scr{script}ipt scope=backend>SECRET</script>b"), "üb"),
        (format!("<scr<scr{script}ipt scope=backend>1</script>ipt scope=backend>SECRET</script>b"), "b"),
        (format!("<p><scr{script}\n{script}ipt scope=backend>SECRET</script>"), "<p>"),
        (format!("<<!--{script}-->script scope=backend>SECRET"), ""),
    ] {
        let (_, seen, misplaced) = parts(&html);
        assert_eq!((seen.as_str(), misplaced.is_some()), (visible, true), "{html}");
    }
    let at =
        extract(&format!("ü<scr{script}ipt scope=backend>SECRET</script>")).unwrap().misplaced.unwrap().0;
    assert_eq!(at, "ü".len());
    let deep = format!("a{}{script}{}b", "<scr".repeat(100), "ipt scope=backend>SECRET</script>".repeat(100));
    let found = extract(&deep).unwrap();
    assert_eq!(
        (found.holes.as_slice(), found.misplaced.is_some()),
        (slice::from_ref(&(0..deep.len())), true)
    );
}

#[test]
fn reports_the_first_misplaced_script() {
    let html = "<p><svg><script scope=backend></script></svg><!-- <script scope=backend>--></script>";
    assert_eq!(extract(html).unwrap().misplaced, Some((8, Misplaced::NotAllowedHere)));
}

#[test]
fn takes_linear_time_for_large_files() {
    let html = format!("a<script scope=backend>{}</script>b", "secret();".repeat(120_000));
    let (blocks, visible, _) = parts(&html);
    assert_eq!((blocks.len(), visible.as_str()), (1, "ab"));
    for (before, repeated, after) in [
        ("", "<script ", ""),
        ("", "<script/a=", " scope=backend>"),
        ("", "<script a='", "' scope=backend>"),
        ("", "<script scope=backend>", ""),
        ("", "<script scope=backend></script>", ""),
        ("", "<script scope=backend></script ", ""),
        ("", "</script", ""),
        ("", "<!--<script scope=backend>--></script>", ""),
        ("<!--", "<script scope=backend>", "--></script>               "),
        ("", "<textarea><script scope=backend></textarea></script>", ""),
        ("", "<textarea><script scope=backend>", ""),
        ("", "<template>", "<script scope=backend "),
        ("", "<template><b title='<script scope=backend></script>'>", ""),
        ("", "<svg><script scope='backend'/>", ""),
        ("", "<svg><script scope=backend></svg>", ""),
        ("<script scope=backend></script>", "<scr<script scope=backend></script>ipt scope=backend>", ""),
    ] {
        let html = format!("{before}{}{after}", repeated.repeat((1 << 20) / repeated.len()));
        // The number of scripts is limited, too.
        let Ok(found) = extract(&html) else {
            assert!(matches!(extract(&html), Err(HtmlError::TooManyScripts)), "{repeated}");
            continue;
        };
        let visible = Visible::new(&html, &found.holes).text;
        assert!(!visible.contains("backend"), "{repeated}");
    }
    let holes = "<scr".repeat(20_000) + "<script scope=backend></script>";
    let html = holes + &"ipt scope=backend></script>".repeat(20_000);
    assert_eq!(extract(&html).unwrap().holes, slice::from_ref(&(0..html.len())));
}

/// Text that can begin, end or hide a script.
const FRAGMENTS: [&str; 46] = [
    "<script scope=backend>",
    "<script scope=backend>",
    "<SCRIPT\nasync Scope = 'back&#101;nd'>",
    "<script a=\"'>\" scope=\"&#x62;ackend\" >",
    "<script/scope=backend x=>",
    "<script>",
    "<script a='",
    "</script>",
    "</script>",
    "</script>",
    "</SCRIPT\n>",
    "</script a='",
    "<scr",
    "ipt scope=backend>",
    "scope=backend",
    "SECRET",
    "ü",
    "\n",
    " ",
    "'",
    "\"",
    ">",
    "<!--",
    "<!-->",
    "-->",
    "--!>",
    "<? ",
    "</ ",
    "<!x ",
    "<![CDATA[",
    "]]>",
    "<textarea>",
    "</textarea>",
    "<style>",
    "</style>",
    "<title>",
    "</title>",
    "<noscript>",
    "</noscript>",
    "<template>",
    "</template>",
    "<svg>",
    "</svg>",
    "<math><mi>",
    "<p title=\"",
    "</p>",
];

/// The length of the backend script's start tag at the beginning of `html`, as the parser
/// reads it.
fn backend_tag(html: &str) -> Option<usize> {
    let end = Rc::new(RefCell::new(None));
    let settings = Settings::new().with_strict(false).append_element_content_handler(element!("*", |el| {
        let is_backend = el.attributes().iter().any(|attribute| {
            let value = attribute.value().replace("&#101;", "e").replace("&#x62;", "b");
            attribute.name() == "scope" && value == "backend"
        });
        let place = el.source_location().bytes();
        if place.start == 0 && el.tag_name() == "script" && is_backend {
            *end.borrow_mut() = Some(place.end);
        }
        Ok(())
    }));
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    rewriter.write(html.as_bytes()).unwrap();
    rewriter.end().unwrap();
    end.take()
}

/// Each part from a backend script's start tag to the next end tag.
fn secrets(html: &str) -> Vec<Range<usize>> {
    let lower = html.to_ascii_lowercase();
    let secret = |(at, _)| {
        let tag_end = at + backend_tag(&html[at..])?;
        let ends = ["</script>", "</script\n", "</script "].map(|end| lower[tag_end..].find(end));
        Some(at..ends.into_iter().flatten().min().map_or(html.len(), |end| tag_end + end + "</script".len()))
    };
    lower.match_indices("<script").filter_map(secret).collect()
}

/// The file as the template prints it.
fn as_rendered(html: &str, holes: &[Range<usize>]) -> String {
    let is_hidden = |at: usize| holes.iter().any(|hole| hole.contains(&at));
    let kept = html.char_indices().map(|(at, c)| if is_hidden(at) && c != '\n' { '\0' } else { c });
    let pieces: Vec<String> = kept.collect::<String>().split('\0').map(str::to_owned).collect();
    let last = pieces.len() - 1;
    let is_between =
        |at: usize, piece: &str| at != 0 && at != last && piece.bytes().all(|byte| byte == b'\n');
    pieces
        .iter()
        .enumerate()
        .filter(|(at, piece)| !is_between(*at, piece))
        .map(|(_, piece)| piece.as_str())
        .collect()
}

#[test]
fn hides_backend_source_in_any_surroundings() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..4_000 {
        let html: String = (0..2 + random(14)).map(|_| FRAGMENTS[random(FRAGMENTS.len())]).collect();
        let Extracted { blocks, holes, misplaced } = extract(&html).unwrap();
        let is_in =
            |outer: &Range<usize>, inner: &Range<usize>| outer.start <= inner.start && inner.end <= outer.end;
        for secret in secrets(&html) {
            let is_source = blocks.iter().any(|block| block.contains(&secret.start));
            let is_hidden = holes.iter().any(|hole| is_in(hole, &secret));
            assert!(is_source || is_hidden, "{html:?} shows {secret:?} of {holes:?}");
        }
        for text in [Visible::new(&html, &holes).text, as_rendered(&html, &holes)] {
            assert_eq!(secrets(&text), Vec::<Range<usize>>::new(), "{html:?} becomes {text:?}");
        }
        assert!(holes.is_sorted_by(|a, b| a.end < b.start), "{html:?} {holes:?}");
        assert!(
            holes.iter().all(|hole| html.get(hole.clone()).is_some_and(|hole| !hole.is_empty())),
            "{html:?}"
        );
        assert!(blocks.is_sorted_by(|a, b| a.end < b.start), "{html:?} {blocks:?}");
        assert!(blocks.iter().all(|block| holes.iter().any(|hole| is_in(hole, block))), "{html:?}");
        assert!(
            misplaced.is_none_or(|(at, _)| html.is_char_boundary(at) && html[at..].starts_with('<')),
            "{html:?}"
        );
    }
}

#[test]
fn rejects_more_scripts_than_a_file_can_have() {
    let scripts = |count: usize| "<script scope=backend>f()</script>".repeat(count);
    assert_eq!(extract(&scripts(100)).unwrap().blocks.len(), 100);
    for count in [101, 15_000] {
        let error = extract(&scripts(count)).unwrap_err();
        assert_eq!(error.to_string(), "a file can have at most 100 backend scripts: join some of them");
    }
    // Scripts of the browser do not count.
    assert!(extract(&"<script>f()</script>".repeat(1_000)).is_ok());
}

#[test]
fn template_comments_are_not_part_of_the_page() {
    let ends_inside = Some(Misplaced::CommentEndsInside);
    for (html, blocks, visible, misplaced) in [
        ("a{{-- b --}}c", vec![], "a{{-- b --}}c", None),
        ("a{{-- <script scope=backend>x</script> --}}b", vec![], "ab", None),
        ("a{{-- a <script scope=backend> tag --}}b<script scope=backend>y</script>", vec!["y"], "ab", None),
        ("{{-- <!-- <title> --}}<script scope=backend>x</script>", vec!["x"], "{{-- <!-- <title> --}}", None),
        ("<script scope=backend>'{{-- a'</script>b{{-- c --}}", vec!["'{{-- a'"], "b{{-- c --}}", None),
        ("<script {{-- > scope --}} scope=backend>x</script>b", vec!["x"], "b", None),
        ("{{-- <script scope=backend>a --}}b</script>c", vec![], "c", ends_inside),
        ("<scr{{-- a --}}ipt scope=backend>x</script>b", vec![], "b", Some(Misplaced::NotAllowedHere)),
        ("@{{-- <script scope=backend>x</script> --}}", vec!["x"], "@{{--  --}}", None),
    ] {
        assert_eq!(parts(html), (blocks, visible.to_owned(), misplaced), "{html}");
    }
}
