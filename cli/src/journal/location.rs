//! Where a store is: a SQLite file, or a database of a PostgreSQL server.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The variable that names a store where neither the command line nor the manifest does.
pub const STORE_VARIABLE: &str = "ANSATZ_STORE";

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Location {
    /// A SQLite database.
    File(PathBuf),
    /// A database of a PostgreSQL server.
    Server(ServerUrl),
}

/// The address of a database on a PostgreSQL server: `postgres://user@host:port/database`. Never with a password:
/// it is shown in messages and kept in plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerUrl(String);

impl ServerUrl {
    /// What connects there, without a password.
    pub(super) fn config(&self) -> Result<postgres::Config, String> {
        postgres::Config::from_str(&self.0).map_err(|error| {
            let reason = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
            format!(
                "{:?} is no address of a PostgreSQL database ({reason}); write it as postgres://user@host:5432/database",
                self.0
            )
        })
    }

    /// Whether a text is meant as such an address.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://")
    }
}

impl TryFrom<String> for ServerUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !Self::is_meant(&text) {
            return Err("the address of a server begins with postgres://".to_owned());
        }
        let url = Self(text);
        let has_password = match url.config() {
            Ok(config) => config.get_password().is_some(),
            // what was written may hold a password: it is not repeated
            Err(_) if url.0.contains('@') || url.0.contains('?') => {
                return Err("that is no address of a PostgreSQL database; write it as \
                            postgres://user@host:5432/database"
                    .to_owned());
            }
            Err(message) => return Err(message),
        };
        if has_password {
            return Err("the address of a store holds a password, which would be kept and shown with it; take it out, \
                        and put it into ~/.pgpass (host:port:database:user:password, readable by you alone), into \
                        another such file that PGPASSFILE names, or into PGPASSWORD"
                .to_owned());
        }
        Ok(url)
    }
}

impl From<ServerUrl> for String {
    fn from(url: ServerUrl) -> Self {
        url.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Location {
    /// What `ANSATZ_STORE` names, if it is set.
    pub fn of_environment() -> Result<Option<Self>, String> {
        match std::env::var(STORE_VARIABLE) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => text.parse().map(Some).map_err(|reason| format!("{STORE_VARIABLE}: {reason}")),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(text)) => Ok(Some(Self::File(text.into()))),
        }
    }

    /// Whether it is certain that nothing is there; whether a server has anything shows when it is asked.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(path) if !path.exists())
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if ServerUrl::is_meant(text) {
            return ServerUrl::try_from(text.to_owned()).map(Self::Server);
        }
        match text.split_once("://") {
            Some((scheme, _)) if scheme.chars().all(|letter| letter.is_ascii_alphanumeric()) => {
                Err(format!("there is no store {scheme}://; name a file, or postgres://user@host/database"))
            }
            _ if text.trim().is_empty() => Err("the name of a store is empty".to_owned()),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Server(url) => url.fmt(formatter),
        }
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_file_or_a_server() {
        assert_eq!("a/b.db".parse(), Ok(Location::File("a/b.db".into())));
        for text in ["postgres://eva@db.example.org:5433/tuning", "postgresql://%2Ftmp%2Fsocket/tuning"] {
            let location: Location = text.parse().unwrap();
            assert!(matches!(location, Location::Server(_)));
            assert_eq!(location.to_string(), text);
        }
        assert!("mysql://db/x".parse::<Location>().unwrap_err().contains("mysql://"));
        assert!("".parse::<Location>().is_err());
        assert!("postgres://db:port/x".parse::<Location>().is_err());
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for text in [
            "postgres://eva:hunter2@db/tuning",
            "postgres://eva@db/tuning?password=hunter2",
            "postgres://eva:hunter2@db:port/tuning",
        ] {
            let error = text.parse::<Location>().unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(serde_json::from_value::<ServerUrl>(text.into()).is_err());
        }
        let error = "postgres://eva:hunter2@db/tuning".parse::<Location>().unwrap_err();
        assert!(error.contains("PGPASSFILE"), "{error}");
    }
}
