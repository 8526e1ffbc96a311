//! The password for a server: from `PGPASSWORD`, or from the file that `PGPASSFILE` names, else `~/.pgpass`, as
//! PostgreSQL's own programs have it. It is in no plan, no record and no message.

use std::path::{Path, PathBuf};

/// Who connects where, as a line of a password file knows it.
pub struct Login<'a> {
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// The password for a login, if there is one; or what is wrong with the file.
pub fn find(login: &Login<'_>) -> Result<Option<String>, String> {
    if let Ok(password) = std::env::var("PGPASSWORD")
        && !password.is_empty()
    {
        return Ok(Some(password));
    }
    let named = std::env::var_os("PGPASSFILE").filter(|name| !name.is_empty()).map(PathBuf::from);
    let is_named = named.is_some();
    let Some(path) = named.or_else(|| std::env::home_dir().map(|home| home.join(".pgpass"))) else {
        return Ok(None);
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => return Ok(None),
        Err(error) => return Err(format!("the password file {} cannot be read: {error}", path.display())),
    };
    refuse_open_file(&path)?;
    Ok(text.lines().find_map(|line| password_of(line, login)))
}

/// What others may read is no secret; PostgreSQL's programs pass over such a file too.
#[cfg(unix)]
fn refuse_open_file(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            Err(format!("others may read the password file {0}: chmod 600 {0}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn refuse_open_file(_: &Path) -> Result<(), String> {
    Ok(())
}

/// The password of a line `host:port:database:user:password`, if the line is about this login. `*` is anything; a
/// colon or a backslash in a field stands behind a backslash.
fn password_of(line: &str, login: &Login<'_>) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![(String::new(), false)];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let is_last = fields.len() == 5;
        let (field, is_escaped) = fields.last_mut()?;
        match letter {
            '\\' => {
                *is_escaped = true;
                field.extend(letters.next());
            }
            ':' if !is_last => fields.push((String::new(), false)),
            letter => field.push(letter),
        }
    }
    let [host, port, database, user, (password, _)] = <[_; 5]>::try_from(fields).ok()?;
    // a folder means the socket in it, which such files call localhost
    let is_socket = login.host.starts_with('/');
    let is =
        |(field, is_escaped): &(String, bool), value: &str| (field == "*" && !is_escaped) || field == value;
    let is_host = is(&host, login.host) || (is_socket && is(&host, "localhost"));
    (is_host && is(&port, &login.port.to_string()) && is(&database, login.database) && is(&user, login.user))
        .then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_for_whom_it_names() {
        let login = Login { host: "db", port: 5432, database: "tuning", user: "eva" };
        let find = |line| password_of(line, &login);
        assert_eq!(find("db:5432:tuning:eva:s:e\\:c\\\\ret").as_deref(), Some("s:e:c\\ret"));
        assert_eq!(find("*:*:*:*:any").as_deref(), Some("any"));
        for line in [
            "",
            "#db:5432:tuning:eva:x",
            "db:5433:tuning:eva:x",
            "db:5432:*:adam:x",
            "db:5432",
            "\\*:*:*:*:x",
        ] {
            assert_eq!(find(line), None, "{line}");
        }
        let socket = Login { host: "/run/postgresql", ..login };
        assert_eq!(password_of("localhost:5432:tuning:eva:x", &socket).as_deref(), Some("x"));
    }
}
