use super::*;
use std::fs;

fn certificate() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()
}

fn options(folder: &Path) -> AggregatorOptions {
    AggregatorOptions {
        remote_services_file: folder.join("services.yaml"),
        api_service_ca_bundle_file: folder.join("ca.crt"),
        ..AggregatorOptions::default()
    }
}

async fn faults(options: AggregatorOptions) -> Vec<String> {
    let Faults(faults) = RemoteServices::load(options).await.unwrap_err();
    faults.into_iter().map(|fault| format!("{} ({}): {}", fault.key, fault.origin, fault.message)).collect()
}

#[tokio::test]
async fn mistakes_of_both_files_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let (services, bundle) = (&options.remote_services_file, &options.api_service_ca_bundle_file);
    let found = faults(options.clone()).await;
    assert!(
        found.len() == 2 && found.iter().all(|fault| fault.contains("cannot read the file")),
        "{found:?}"
    );
    fs::write(services, "- {group: a.b}\n- x\n").unwrap();
    fs::write(bundle, "junk").unwrap();
    let found = faults(options.clone()).await;
    let at = |line| format!("{SERVICES_KEY} ({}:{line}): ", services.display());
    assert!(found[0].starts_with(&at(1)) && found[3].starts_with(&at(2)), "{found:#?}");
    assert_eq!(
        found[4],
        format!("{BUNDLE_KEY} ({}): CA bundle must contain at least one certificate", bundle.display())
    );
    fs::write(services, "- {group: a.b, version: v1, host: a, port: 1}").unwrap();
    let without = AggregatorOptions { api_service_ca_bundle_file: PathBuf::new(), ..options.clone() };
    let found = faults(without).await;
    assert_eq!(found, [format!("{BUNDLE_KEY} (default): must be given: it vouches for the remote services")]);
}

#[tokio::test]
async fn files_are_read_again_when_they_change_and_mistakes_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let (services, bundle) =
        (options.remote_services_file.clone(), options.api_service_ca_bundle_file.clone());
    fs::write(&services, "- {group: a.b, version: v1, host: a, port: 1}").unwrap();
    fs::write(&bundle, certificate()).unwrap();
    let mut remote = RemoteServices::load(options).await.unwrap();
    let before = remote.wanted.clone();
    assert!(!remote.refresh().await);
    fs::write(&services, "- {group: a.b, version: v1, host: a, port: 1} # the same\n").unwrap();
    assert!(!remote.refresh().await);
    fs::write(&services, "- {group: a.b, version: v1}").unwrap();
    assert!(!remote.refresh().await && remote.wanted == before);
    fs::write(&services, "- {group: a.b, version: v1, host: a, port: 2}").unwrap();
    assert!(remote.refresh().await && remote.wanted != before);
    let before = remote.wanted.clone();
    fs::write(&bundle, certificate()).unwrap();
    assert!(remote.refresh().await && remote.wanted != before);
    fs::remove_file(&services).unwrap();
    assert!(!remote.refresh().await);
}

#[tokio::test]
async fn without_a_file_there_is_nothing() {
    let remote = RemoteServices::load(AggregatorOptions::default()).await.unwrap();
    assert!(!remote.is_configured() && remote.wanted == Objects::default());
}
