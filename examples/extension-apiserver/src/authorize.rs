//! Who may do what: reading needs a group, writing needs `system:masters`, and there is no policy beyond that.

use crate::identity::Identity;
use crate::route::{Target, Verb};
use crate::status::Status;

const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
const ANONYMOUS: &str = "system:anonymous";

/// Decides whether `identity` may use `verb` on flights.
///
/// # Errors
/// 403 `Forbidden`, in the words of Kubernetes.
pub(crate) fn flights(identity: &Identity, verb: Verb, target: Target<'_>) -> Result<(), Status> {
    let member = |group| identity.groups.iter().any(|each| each == group);
    if member(MASTERS) || (verb.is_read() && member(AUTHENTICATED)) {
        return Ok(());
    }
    Err(Status::forbidden(&identity.user, verb.name(), target.namespace, target.name))
}

/// Decides whether `identity` may read discovery and OpenAPI: everyone whom the front proxy authenticated.
///
/// # Errors
/// 403 `Forbidden`, in the words of Kubernetes.
pub(crate) fn discovery(identity: &Identity, path: &str) -> Result<(), Status> {
    if identity.user == ANONYMOUS {
        return Err(Status::forbidden_path(&identity.user, path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &[&str], verb: Verb) -> bool {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        let identity = Identity { user: "jane".to_owned(), groups, ..Identity::default() };
        flights(&identity, verb, Target { namespace: Some("default"), name: None }).is_ok()
    }

    #[test]
    fn readers_read_and_masters_write() {
        assert!(check(&[AUTHENTICATED], Verb::List));
        assert!(check(&[AUTHENTICATED], Verb::Watch));
        assert!(!check(&[AUTHENTICATED], Verb::Create));
        assert!(!check(&[AUTHENTICATED], Verb::DeleteCollection));
        assert!(check(&[MASTERS], Verb::Delete));
        assert!(!check(&[], Verb::Get));
    }
}
