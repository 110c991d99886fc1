//! Why the PKI could not be opened; every variant names the file, since a person must look at it.

use std::io;
use std::path::PathBuf;

/// Why the certificates of a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what its name says.
    #[error("{} must be {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What belongs there.
        expected: &'static str,
    },
    /// A CA's key was lost. A new CA would make every certificate of the old one worthless, so that is not ours
    /// to decide.
    #[error(
        "{} is missing, but its certificate is there: restore the key, or remove the certificate to begin with a new CA",
        path.display()
    )]
    KeyMissing {
        /// The key file.
        path: PathBuf,
    },
    /// A CA's two files do not belong together.
    #[error("{} is not the key of {}", key.display(), certificate.display())]
    Mismatch {
        /// The key file.
        key: PathBuf,
        /// The certificate file.
        certificate: PathBuf,
    },
    /// A CA can no longer sign anything that would be believed.
    #[error("{} has expired: replace the CA, its key, and what it signed", path.display())]
    Expired {
        /// The certificate file.
        path: PathBuf,
    },
    /// Everyone on the machine could have read the key.
    #[error("{} must not be open to others (mode {mode:o}): allow 600, and consider the key known", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A certificate could not be made.
    #[error("make {}", path.display())]
    Issue {
        /// The certificate file.
        path: PathBuf,
        /// What the library said.
        source: rcgen::Error,
    },
}
