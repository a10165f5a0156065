//! Which addresses a browser can be sent to.

/// Longer addresses are not kept over a login or a form.
const NEXT_BYTES_MAX: usize = 2_048;

/// Whether this is the address of a page of the console, to which a browser can be sent after a login or a form.
pub(crate) fn own_address(address: &str) -> bool {
    // Browsers read `//host` and `/\host` as addresses of other hosts.
    let is_path = address.starts_with('/') && !address.starts_with("//");
    is_path && address.len() <= NEXT_BYTES_MAX && address.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_pages_of_the_console_only() {
        for own in ["/", "/brands/shop/page?path=/cart&hours=1"] {
            assert!(own_address(own), "{own}");
        }
        let long = format!("/{}", "x".repeat(NEXT_BYTES_MAX));
        for foreign in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb: c", "/a b", &long]
        {
            assert!(!own_address(foreign), "{foreign}");
        }
    }
}
