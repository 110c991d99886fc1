//! Continue tokens: what is one can be written again and says the same.

use detectviz_server::rest::reread_continue_token;

use crate::text;

pub(crate) fn continue_token(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Some(written) = reread_continue_token(text) else { return };
    assert_eq!(reread_continue_token(&written).as_deref(), Some(&*written), "{text:?}");
}
