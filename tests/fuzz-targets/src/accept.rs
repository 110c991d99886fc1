//! Accept headers: a presentation, or 406.

use detectviz_api::negotiate::{accepted, presentation};

use crate::text;

pub(crate) fn accept(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let ranges = accepted(Some(text));
    match presentation(Some(text)) {
        Ok(_) => assert!(!ranges.is_empty(), "something is chosen where nothing is accepted"),
        Err(status) => assert_eq!(status.code, 406),
    }
    for range in ranges {
        // What covers everything covers this too.
        assert!(range.essence != "*/*" || range.covers("application/json"));
    }
}
