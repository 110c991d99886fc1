//! Who is this: the owner of a token, and the caller.

use detectviz_api::{Identity, Status, timestamp};
use detectviz_auth::Authenticator;
use detectviz_server::strategy::Strategy;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{texts, user_info};
use crate::strategies::text;

/// `TokenReview`: whose token is this?
pub(super) struct TokenReviews(pub(super) Arc<Authenticator>);

impl Strategy for TokenReviews {
    fn answer(&self, _: &Identity, object: &mut Value) -> Result<(), Status> {
        let token = text(object, "/spec/token");
        if token.is_empty() {
            return Err(Status::bad_request("token is required for TokenReview in authentication"));
        }
        // Our tokens are for this server alone: whoever asks for another audience is told that they are nobody's.
        let elsewhere = !texts(object, "/spec/audiences").is_empty();
        object["status"] = match self.0.review_token(token) {
            Ok(Some(identity)) if !elsewhere => json!({"authenticated": true, "user": user_info(&identity)}),
            Ok(None) => json!({"user": {}}),
            Ok(Some(_)) | Err(_) => json!({"user": {}, "error": "invalid bearer token"}),
        };
        Ok(())
    }
}

/// `SelfSubjectReview`: who am I? Nothing of what was sent comes back.
pub(super) struct SelfSubjectReviews;

impl Strategy for SelfSubjectReviews {
    fn answer(&self, caller: &Identity, object: &mut Value) -> Result<(), Status> {
        object["metadata"] = json!({"creationTimestamp": timestamp::now()});
        object["status"] = json!({"userInfo": user_info(caller)});
        Ok(())
    }
}
